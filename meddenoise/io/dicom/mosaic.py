"""A Siemens mosaic: the slices of one volume as tiles of one picture.

The tiles fill the picture row by row. What tells where they lie stands in Siemens' private
elements: (0019,xx0A) of SIEMENS MR HEADER or the CSA image header (0029,xx10).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.values import DamagedElement, texts

__all__ = ["Tile", "csa_values", "describing_elements", "is_mosaic", "tiles_of"]

_CSA = (0x0029, "SIEMENS CSA HEADER", 0x10)
_NUMBER = (0x0019, "SIEMENS MR HEADER", 0x0A)
_DESCRIBING = (_CSA, _NUMBER)
_MOST_TAGS, _MOST_ITEMS = 1000, 10_000


@dataclass(frozen=True, eq=False)
class Tile:
    """One slice: its place in the picture, and LPS mm of its first pixel's centre."""

    corner: tuple[int, int]
    size: tuple[int, int]
    position: NDArray[np.float64]


def tiles_of(
    file: DicomFile,
    size: tuple[int, int],
    position: NDArray[np.float64] | None,
    orientation: NDArray[np.float64],
    spacing: tuple[float, float],
    between: float,
) -> list[Tile] | None:
    """The tiles in the order of the file, or ``None`` where the header does not tell them.

    Args:
        file: the mosaic.
        size: rows and columns of the whole picture.
        position: ImagePositionPatient: as if the whole picture were one slice about the same
            centre, so the first tile begins half of what it is smaller further in.
        orientation: ``(2, 3)`` directions along a row and down a column.
        spacing: mm between rows, and between columns.
        between: mm from slice to slice.
    """
    csa = csa_values(_private(file.header, *_CSA))
    count = _count(file.header, csa)
    if count is None or position is None:
        return None
    across = math.ceil(math.sqrt(count))
    rows, columns = size[0] // across, size[1] // across
    if rows * across != size[0] or columns * across != size[1]:
        return None
    first = (
        position
        + orientation[0] * spacing[1] * (size[1] - columns) / 2
        + orientation[1] * spacing[0] * (size[0] - rows) / 2
    )
    normal = np.cross(orientation[0], orientation[1])
    stated = csa.get("SliceNormalVector", [])
    # The vector points from one tile to the next, which may be against row x column.
    if len(stated) == 3 and np.dot(np.array(stated, dtype=float), normal) < 0:
        normal = -normal
    return [
        Tile(
            corner=(number // across * rows, number % across * columns),
            size=(rows, columns),
            position=first + normal * between * number,
        )
        for number in range(count)
    ]


def _count(header: Any, csa: dict[str, list[str]]) -> int | None:
    stated = _private(header, *_NUMBER)
    try:
        count = int(stated if stated is not None else csa["NumberOfImagesInMosaic"][0])
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return count if count > 1 else None


def is_mosaic(header: Any) -> bool:
    """Whether a header says that its picture is a mosaic."""
    return "MOSAIC" in texts(header, "ImageType")


def describing_elements(header: Any) -> set[int]:
    """The private tags without which a mosaic is only a picture; none for other images."""
    found: set[int] = set()
    if not is_mosaic(header):
        return found
    for group, creator, element in _DESCRIBING:
        try:
            block = header.private_block(group, creator)
        except KeyError:
            continue
        if element in block:
            found |= {group << 16 | block.block_start >> 8, block.get_tag(element)}
    return found


def _private(header: Any, group: int, creator: str, element: int) -> Any:
    try:
        return header.private_block(group, creator)[element].value
    except KeyError:
        return None
    except Exception as error:  # pydicom raises nearly anything on damaged data
        raise DamagedElement(f"the block of {creator} makes no sense ({error})") from error


def csa_values(raw: Any) -> dict[str, list[str]]:
    """The named values of a CSA header; empty if it is none.

    Layout: "SV10", 4 bytes, the number of tags and 77, each a little-endian uint32; a tag is a
    name of 64 bytes, multiplicity, VR (4 bytes), syngo type, number of items, 77 or 205; an item
    is four uint32, the second of which is its length, and the text, padded to 4 bytes.
    """
    if not isinstance(raw, bytes) or raw[:4] != b"SV10":
        return {}
    found: dict[str, list[str]] = {}
    try:
        (tags,) = struct.unpack_from("<I", raw, 8)
        at = 16
        for _ in range(min(tags, _MOST_TAGS)):
            name, items = struct.unpack_from("<64s", raw, at)[0], 0
            (items,) = struct.unpack_from("<I", raw, at + 76)
            at += 84
            words = []
            for _ in range(min(items, _MOST_ITEMS)):
                (length,) = struct.unpack_from("<I", raw, at + 4)
                word = raw[at + 16 : at + 16 + length].split(b"\0")[0].decode("latin-1").strip()
                if word:
                    words.append(word)
                at += 16 + length + (-length) % 4
            found[name.split(b"\0")[0].decode("latin-1")] = words
    except struct.error:
        return found
    return found
