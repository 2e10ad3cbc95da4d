"""What the lines of a MetaImage header say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan, FileError

__all__ = [
    "MOST_HEADER",
    "NAMES",
    "TYPES",
    "affine_of",
    "count_of",
    "header_lines",
    "is_big_endian",
    "is_compressed",
    "is_true",
    "key_of",
    "numbers_of",
    "sizes_of",
    "stored_type_of",
    "value_of",
]

TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4",
    "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
NAMES = {kind: name for name, kind in reversed(TYPES.items())}
MOST_HEADER = 1 << 16
_ALIASES = {
    "direction": ("TransformMatrix", "Orientation", "Rotation"),
    "origin": ("Offset", "Position", "Origin"),
    "spacing": ("ElementSpacing", "ElementSize"),  # the size counts where no spacing is said
    "msb": ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"),
}


def header_lines(stream: Any, path: Path) -> list[str]:
    """The lines of the header that a stream begins with, the last of which names the voxels.

    Raises:
        DamagedScan: a line that is none of a header, or no such last one.
    """
    lines: list[str] = []
    while stream.tell() < MOST_HEADER:
        line = stream.readline(MOST_HEADER)
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if not line:
            break
        if "=" not in text:
            if text.strip():
                raise DamagedScan(f"{path}: the MetaImage header has a line without '='.")
            continue
        lines.append(text)
        if text.partition("=")[0].strip() == "ElementDataFile":
            return lines
    raise DamagedScan(f"{path}: the MetaImage header has no ElementDataFile; it is damaged.")


def sizes_of(fields: dict[str, str], path: Path) -> tuple[int, ...]:
    """Voxels along each of two to four axes, fastest first.

    Raises:
        FileError: another number of axes, or several values a voxel.
        DamagedScan: no numbers.
    """
    sizes = tuple(int(n) for n in numbers_of(fields, "DimSize", path, ()))
    count = int(numbers_of(fields, "NDims", path, (len(sizes),))[0])
    if len(sizes) not in (2, 3, 4) or len(sizes) != count or min(sizes) < 1:
        raise FileError(f"{path}: DimSize {list(sizes)} makes no image of two to four axes.")
    parts = int(numbers_of(fields, "ElementNumberOfChannels", path, (1,))[0])
    if parts != 1:
        raise FileError(
            f"{path} holds {parts} values a voxel (colour or vectors), not intensities: extract "
            "one component first."
        )
    return sizes


def stored_type_of(fields: dict[str, str], path: Path) -> np.dtype:
    """The type of the voxels, with its byte order.

    Raises:
        FileError: one that holds no numbers.
    """
    name = fields.get("ElementType", "").upper()
    if name not in TYPES:
        raise FileError(f"{path}: ElementType {name!r} holds no scalar numbers that are read here.")
    msb = next((fields[key] for key in _ALIASES["msb"] if key in fields), "False")
    return np.dtype(TYPES[name]).newbyteorder(">" if is_true(msb) else "<")


def is_true(word: str) -> bool:
    """Whether a header's word says yes."""
    return word.strip().lower() in ("true", "1", "t", "yes")


def numbers_of(
    fields: dict[str, str], key: str, path: Path, default: tuple[float, ...]
) -> tuple[float, ...]:
    """The finite numbers behind a key, or the default where there is no such key.

    Raises:
        DamagedScan: something else is there.
    """
    if key not in fields:
        return default
    try:
        numbers = tuple(float(word) for word in fields[key].split())
    except ValueError as error:
        raise DamagedScan(f"{path}: {key} = {fields[key]!r} is no list of numbers.") from error
    if not numbers or not np.isfinite(numbers).all():
        raise DamagedScan(f"{path}: {key} = {fields[key]!r} is no list of finite numbers.")
    return numbers


def affine_of(fields: dict[str, str], count: int, path: Path) -> NDArray[np.float64]:
    """``(4, 4)``, voxel index to RAS+ mm, of an image of so many axes.

    Raises:
        DamagedScan: too few numbers, or too many.
    """

    def first(name: str, default: tuple[float, ...]) -> NDArray[np.float64]:
        for key in _ALIASES[name]:
            if key in fields:
                found = numbers_of(fields, key, path, default)
                if len(found) != len(default):
                    raise DamagedScan(f"{path}: {key} needs {len(default)} numbers.")
                return np.array(found)
        return np.array(default)

    identity = tuple(float(x) for x in np.eye(count).ravel())
    direction = first("direction", identity).reshape(count, count).T  # each row is an axis
    spacing = first("spacing", (1.0,) * count)
    origin = first("origin", (0.0,) * count)
    used = min(count, 3)
    affine = np.eye(4)
    affine[:used, 3] = origin[:used]
    with np.errstate(over="ignore", invalid="ignore"):  # not finite: refused with the volume
        affine[:used, :used] = direction[:used, :used] * spacing[:used]
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def value_of(lines: list[str], *keys: str) -> str:
    """What stands behind the first line with one of these keys; ``""`` if there is none."""
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() in keys:
            return value.strip()
    return ""


def key_of(line: str) -> str:
    """The key of a line."""
    return line.partition("=")[0].strip()


def count_of(lines: list[str]) -> int:
    """How many axes the lines tell of."""
    return len(value_of(lines, "DimSize").split())


def is_big_endian(lines: list[str]) -> bool:
    """Whether the voxels' most significant byte comes first."""
    return is_true(value_of(lines, *_ALIASES["msb"]))


def is_compressed(lines: list[str]) -> bool:
    """Whether the voxels are packed."""
    return is_true(value_of(lines, "CompressedData"))
