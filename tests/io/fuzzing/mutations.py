"""Damage to files: each function takes bytes and a source of chance, and gives other bytes."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Callable
from random import Random

from corpus import Sample

_BINARY = [
    bytes(8), b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\xff" * 7 + b"\x7f", b"\x80" + bytes(7),
    bytes(7) + b"\x80", b"\x01" + bytes(7), bytes(7) + b"\x01", b"\x00\x01" * 4, b"\x01\x00" * 4,
    struct.pack("<2f", *[float("nan")] * 2), struct.pack("<2f", *[float("inf")] * 2),
    struct.pack("<2f", *[3e38] * 2), struct.pack("<2f", *[1e-40] * 2),
    struct.pack("<d", float("nan")), struct.pack("<d", 1e308), struct.pack("<d", -float("inf")),
]  # fmt: skip
_TEXT = [
    b"0", b"-1", b"1", b"-0", b"255", b"65535", b"65536", b"2147483647", b"-2147483648",
    b"4294967295", b"4294967296", b"9223372036854775807", b"99999999999999999999", b"9" * 200,
    b"1e308", b"1e400", b"-1e999", b"1e-320", b"nan", b"inf", b"0x10", b"1.5", b"", b" ", b"8000",
    b"100000", b"(nan,nan,nan)", b"none", b"%d", b"../x", b"\xff\xfe", b"\0", b"A" * 300,
]  # fmt: skip
_NUMBER = re.compile(rb"-?\d[\d.e+-]*")
_VR = re.compile(
    rb"(AE|AS|AT|CS|DA|DS|DT|FD|FL|IS|LO|LT|OB|OW|PN|SH|SL|SQ|SS|ST|TM|UI|UL|UN|US|UT)"
)
_VRS = [b"OB", b"OW", b"SQ", b"UN", b"US", b"SS", b"DS", b"IS", b"UI", b"FD", b"AT", b"PN", b"ZZ"]
_MARKERS = [b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\xe0\x7f\x10\x00"]


def mutated(sample: Sample, chance: Random) -> dict[str, bytes]:
    """The files of a sample, one of them damaged."""
    files = dict(sample.files)
    others = [name for name in files if name != sample.main]
    if others and chance.random() < 0.25:
        name = chance.choice(others)
        files[name] = _damaged(files[name], "plain", 256, chance)
    else:
        files[sample.main] = _damaged(files[sample.main], sample.kind, sample.head, chance)
    return files


def _damaged(raw: bytes, kind: str, head: int, chance: Random) -> bytes:
    if kind == "gzip" and chance.random() < 0.75:
        inside = _rounds(gzip.decompress(raw), "plain", head, chance)
        return gzip.compress(inside, 1, mtime=0)
    if kind == "deflated" and chance.random() < 0.6:
        return _inside_deflated(raw, chance)
    if kind == "png" and chance.random() < 0.7:
        return _inside_png(raw, chance)
    return _rounds(raw, kind, head, chance)


def _rounds(raw: bytes, kind: str, head: int, chance: Random) -> bytes:
    operations = _ANYWHERE + _OF_KIND.get(kind, [])
    for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
        raw = chance.choice(operations)(raw, head, chance)
    return raw


def _place(raw: bytes, head: int, chance: Random) -> int:
    """Most often in the head."""
    end = min(head, len(raw)) if chance.random() < 0.8 else len(raw)
    return chance.randrange(end) if end else 0


def _bits(raw: bytes, head: int, chance: Random) -> bytes:
    out = bytearray(raw)
    for _ in range(chance.choice([1, 2, 4, 16]) if out else 0):
        out[_place(raw, head, chance)] ^= 1 << chance.randrange(8)
    return bytes(out)


def _bytes(raw: bytes, head: int, chance: Random) -> bytes:
    out = bytearray(raw)
    for _ in range(chance.choice([1, 2, 5, 20]) if out else 0):
        out[_place(raw, head, chance)] = chance.choice([0, 255, chance.randrange(256)])
    return bytes(out)


def _extreme(raw: bytes, head: int, chance: Random) -> bytes:
    """An aligned field of 1 to 8 bytes gets an extreme value."""
    size = chance.choice([1, 2, 4, 8])
    at = _place(raw, head, chance) // size * size
    return raw[:at] + chance.choice(_BINARY)[:size] + raw[at + size :]


def _cut(raw: bytes, head: int, chance: Random) -> bytes:
    at = _place(raw, head, chance)
    return raw[:at] if chance.random() < 0.9 else raw[at:]


def _block(raw: bytes, head: int, chance: Random) -> tuple[int, int]:
    start = _place(raw, head, chance)
    return start, start + chance.choice([1, 2, 4, 16, 100, 1000])


def _repeated(raw: bytes, head: int, chance: Random) -> bytes:
    start, end = _block(raw, head, chance)
    return raw[:end] + raw[start:end] * chance.choice([1, 1, 3, 50]) + raw[end:]


def _removed(raw: bytes, head: int, chance: Random) -> bytes:
    start, end = _block(raw, head, chance)
    return raw[:start] + raw[end:]


def _copied(raw: bytes, head: int, chance: Random) -> bytes:
    """A block over another place: values of one field in another."""
    start, end = _block(raw, head, chance)
    at = _place(raw, head, chance)
    return raw[:at] + raw[start:end] + raw[at + len(raw[start:end]) :]


def _filled(raw: bytes, head: int, chance: Random) -> bytes:
    start, end = _block(raw, head, chance)
    fill = bytes([chance.choice([0, 255, 32, 10, 48])])
    return raw[:start] + fill * len(raw[start:end]) + raw[end:]


def _inserted(raw: bytes, head: int, chance: Random) -> bytes:
    at = _place(raw, head, chance)
    new = bytes(chance.randrange(256) for _ in range(chance.choice([1, 2, 8, 64])))
    return raw[:at] + new + raw[at:]


def _number(raw: bytes, head: int, chance: Random) -> bytes:
    """A number in text becomes an extreme one."""
    found = list(_NUMBER.finditer(raw, 0, head))
    if not found:
        return raw
    start, end = chance.choice(found).span()
    return raw[:start] + chance.choice(_TEXT) + raw[end:]


def _line(raw: bytes, head: int, chance: Random) -> bytes:
    """A header line is lost, repeated, moved, or has another value."""
    lines = raw[:head].split(b"\n")
    at = chance.randrange(len(lines))
    what = chance.randrange(5)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(at, lines[at])
    elif what == 2:
        lines.insert(chance.randrange(len(lines)), lines.pop(at))
    else:
        mark = b"=" if b"=" in lines[at] else b":"
        key, _, value = lines[at].partition(mark)
        other = chance.choice(lines).partition(mark)[2]
        words = value.split(b" ")
        words[chance.randrange(len(words))] = chance.choice(_TEXT)
        lines[at] = key + mark + (other if what == 3 else b" ".join(words))
    return b"\n".join(lines) + raw[head:]


def _digits(raw: bytes, head: int, chance: Random) -> bytes:
    """A number in text gets an extreme value of the same length, which no length contradicts."""
    found = list(_NUMBER.finditer(raw, 0, head))
    if not found:
        return raw
    start, end = chance.choice(found).span()
    return raw[:start] + chance.choice(_TEXT)[: end - start].ljust(end - start) + raw[end:]


def _element(raw: bytes, head: int, chance: Random) -> bytes:
    """An explicit element gets another type, length or value."""
    found = list(_VR.finditer(raw, 132, head))
    if not found:
        return raw
    at = chance.choice(found).start()
    what = chance.randrange(4)
    if what == 0:
        return raw[:at] + chance.choice(_VRS) + raw[at + 2 :]
    if what == 1:
        return raw[: at + 2] + chance.choice(_BINARY)[:2] + raw[at + 4 :]
    if what == 2:
        return raw[: at + 4] + chance.choice(_BINARY)[:4] + raw[at + 8 :]
    return raw[: at - 4] + chance.choice(_MARKERS) + raw[at:]


def _fragment(raw: bytes, head: int, chance: Random) -> bytes:
    """The items of encapsulated pixels, and what comes first in them."""
    start = raw.rfind(b"\xe0\x7f\x10\x00")
    if start < 0:
        return raw
    at = start + chance.randrange(min(len(raw) - start, 250))
    size = chance.choice([1, 2, 4])
    return raw[:at] + chance.choice(_BINARY)[:size] + raw[at + size :]


def _inside_deflated(raw: bytes, chance: Random) -> bytes:
    start = 132 + 12 + struct.unpack("<I", raw[140:144])[0]
    inside = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw[start:])
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    # As if the part before had its place: the elements begin where they always do.
    damaged = _rounds(bytes(132) + inside, "dicom", len(inside), chance)[132:]
    return raw[:start] + packer.compress(damaged) + packer.flush()


def _inside_png(raw: bytes, chance: Random) -> bytes:
    """Chunks with damaged content and a right checksum, or in another order."""
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at + 8 <= len(raw):
        (length,) = struct.unpack(">I", raw[at : at + 4])
        chunks.append((raw[at + 4 : at + 8], raw[at + 8 : at + 8 + length]))
        at += 12 + length
    number = chance.randrange(len(chunks))
    name, content = chunks[number]
    if chance.random() < 0.15:
        chunks.insert(chance.randrange(len(chunks)), chunks[number])
    elif name == b"IDAT" and chance.random() < 0.7:
        pixels = _rounds(zlib.decompress(content), "plain", 64, chance)
        chunks[number] = name, zlib.compress(pixels)
    else:
        chunks[number] = name, _rounds(content, "plain", 64, chance)
    return raw[:8] + b"".join(
        struct.pack(">I", len(content)) + name + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )  # fmt: skip


_Operation = Callable[[bytes, int, Random], bytes]
_ANYWHERE: list[_Operation] = [
    _bits, _bytes, _bytes, _extreme, _extreme, _cut, _repeated, _removed, _copied, _filled,
    _inserted,
]  # fmt: skip
_OF_KIND: dict[str, list[_Operation]] = {
    "text": [_number, _number, _number, _line, _line, _line],
    "dicom": [_digits, _digits, _digits, _element, _element, _element, _fragment, _fragment],
}
