"""A file's data set up to its pixels, and where those are: nothing is read that a header made up.

pydicom interprets the elements. The pixels are not read; their place is noted, so that plain ones
are later taken from the file directly.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from meddenoise.errors import DamagedScan

__all__ = ["PixelPlace", "inflated", "parse", "parse_start"]

_DEFLATED = "1.2.840.10008.1.2.1.99"
_PIXELS = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
_FIRST_BYTES = 1 << 18  # most headers, and small files as a whole: memory is parsed faster
_MOST_DEFLATED_HEADER = 1 << 25
_MOST_ELEMENTS = 1 << 16
_BLOCK = 1 << 20


@dataclass(frozen=True)
class PixelPlace:
    """Where the pixels are.

    Attributes:
        keyword: ``"PixelData"``, ``"FloatPixelData"`` or ``"DoubleFloatPixelData"``.
        offset: the first byte of the value, in the file or, if that is deflated, in its data set.
        length: how many bytes; ``None`` if the pixels are encapsulated (undefined length).
    """

    keyword: str
    offset: int
    length: int | None


class _Watcher:
    """Stops the parser at the pixels and notes where they are."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.place: PixelPlace | None = None
        self.elements = 0

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        if tag not in _PIXELS:
            self.elements += 1
            if self.elements > _MOST_ELEMENTS:  # long runs of zeros read as empty elements
                raise ValueError("it has more elements than any header")
            return False
        known = None if length == 0xFFFFFFFF else length
        self.place = PixelPlace(_PIXELS[tag], self.stream.tell(), known)
        return True


def parse(path: Path) -> tuple[Any, PixelPlace | None]:
    """The data set without pixels (a ``pydicom.FileDataset``), and where the pixels are.

    Raises:
        OSError: the file cannot be opened or read.
        Exception: nearly any, from pydicom, on damaged data.
    """
    with open(path, "rb") as stream:
        head = stream.read(_FIRST_BYTES)
        if _DEFLATED.encode() in head[:2048]:
            return _parse_deflated(stream, head, path)
        whole = len(head) < _FIRST_BYTES
        watcher = _Watcher(BytesIO(head))
        try:
            header = _parse_stream(watcher)
        except Exception:
            if whole or not watcher.elements:
                raise
        if watcher.place is None and not whole:
            if not watcher.elements:
                raise ValueError("its file meta information does not end")
            stream.seek(0)
            watcher = _Watcher(stream)
            header = _parse_stream(watcher)
    return header, watcher.place


def parse_start(path: Path, last: int) -> Any:
    """The data set up to the tag ``last``, for files that are damaged further on.

    Raises:
        OSError: the file cannot be opened or read.
        Exception: nearly any, from pydicom, on damage before that tag, or if it lies far off.
    """
    from pydicom.filereader import read_partial

    with open(path, "rb") as stream:
        head = stream.read(_FIRST_BYTES)
    if _DEFLATED.encode() in head[:2048]:
        raise ValueError("a damaged deflated data set has no start")
    watcher = _Watcher(BytesIO(head))
    return read_partial(
        watcher.stream, lambda tag, vr, length: tag > last or watcher(tag, vr, length), force=True
    )


def _parse_stream(watcher: _Watcher) -> Any:
    from pydicom.filereader import read_partial

    header = read_partial(watcher.stream, stop_when=watcher, force=True)
    header.buffer = None  # it would keep the bytes alive
    return header


def _parse_deflated(stream: BinaryIO, head: bytes, path: Path) -> tuple[Any, PixelPlace | None]:
    """The data set is one deflate stream behind the file meta information (PS3.5 A.5)."""
    from pydicom.dataset import FileDataset
    from pydicom.filereader import read_dataset

    meta, start = _file_meta(head)
    stream.seek(start)
    data = BytesIO(_inflate(stream, _MOST_DEFLATED_HEADER, path))
    watcher = _Watcher(data)
    dataset = read_dataset(data, False, True, stop_when=watcher)
    header = FileDataset(BytesIO(), dataset, b"\0" * 128, meta, False, True)
    header.set_original_encoding(False, True, dataset.original_character_set)
    header.buffer = None
    if watcher.place is None and data.getbuffer().nbytes >= _MOST_DEFLATED_HEADER:
        raise DamagedScan(f"{path}: the deflated header is larger than any that makes sense.")
    return header, watcher.place


def _file_meta(head: bytes) -> tuple[Any, int]:
    """The file meta information at the start of a file, and where the data set begins."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import read_dataset

    stream = BytesIO(head)
    stream.seek(132)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    return FileMetaDataset(meta), stream.tell()


def _inflate(stream: BinaryIO, most: int, path: Path) -> bytes:
    """At most ``most`` bytes of a raw deflate stream."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    parts: list[bytes] = []
    room = most
    try:
        while room > 0 and not inflater.eof:
            block = inflater.unconsumed_tail or stream.read(_BLOCK)
            part = inflater.decompress(block, min(room, 16 * _BLOCK))
            if not block and not part:
                break
            parts.append(part)
            room -= len(part)
    except zlib.error as error:
        raise DamagedScan(f"{path} is damaged: {error}.") from error
    return b"".join(parts)


def inflated(path: Path, place: PixelPlace, nbytes: int) -> bytes:
    """``nbytes`` of pixels from a deflated file, or fewer if it holds no more.

    Raises:
        FileError: the compressed data is damaged.
    """
    with open(path, "rb") as stream:
        stream.seek(_file_meta(stream.read(_FIRST_BYTES))[1])
        return _inflate(stream, place.offset + nbytes, path)[place.offset :]
