"""What the fields of a NRRD header mean: the voxels' type, which axes lie in space, and where."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan, FileError
from meddenoise.io.quiet import quiet

__all__ = [
    "DTYPES",
    "ENCODINGS",
    "TYPE_NAMES",
    "axes_of",
    "parse_fields",
    "sizes_of",
    "stored_type_of",
]

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int",
           "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}  # fmt: skip
DTYPES = {name: kind for kind, names in _TYPES.items() for name in names}
TYPE_NAMES = {kind: names[0] for kind, names in _TYPES.items()}
TYPE_NAMES["u1"], TYPE_NAMES["i2"], TYPE_NAMES["u2"] = "unsigned char", "short", "unsigned short"
ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2",
              "ascii": "text", "text": "text", "txt": "text", "hex": "hex"}  # fmt: skip
# What a channel axis may be called; other kinds are vectors, colours or tensors.
_CHANNEL_KINDS = {"list", "none", "???", "time", "point", ""}
_LIST_OF_VECTORS = {"vector"}  # DWI files of some writers call their list of directions so
_UNITS = {
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers"), 0.001),
    "cm": 10.0, "m": 1000.0, "nm": 1e-6,
}  # fmt: skip
_NO_UNIT = {"", "none", "???"}


def parse_fields(text: str, path: Path) -> dict[str, Any]:
    """The fields as pynrrd reads them, and ``modality`` of the pairs of key and value.

    Names of fields are written in any case; keys are a user's own, and may be called like fields.

    Raises:
        FileError: the header is damaged.
    """
    import nrrd

    lines = text.split("\n")
    for number, line in enumerate(lines):
        if re.match(r"data ?file:\s*LIST", line, re.IGNORECASE):
            lines = lines[: number + 1]  # the rest are file names
            break
    told, pairs = _told(lines)
    try:
        with quiet():
            fields = dict(nrrd.read_header(told))
    except Exception as error:  # pynrrd lets out whatever its parsers raise
        raise DamagedScan(f"{path}: the NRRD header is damaged: {error}.") from error
    return {**fields, "modality": pairs.get("modality", "")}


def _told(lines: list[str]) -> tuple[list[str], dict[str, str]]:
    """The lines of fields, and what stands in the others: ``key:=value``."""
    fields, pairs = [], {}
    for line in lines:
        name, colon, value = line.partition(":")
        if line.startswith("#"):
            continue
        if value.startswith("="):
            pairs[name] = value[1:].strip()
        else:
            fields.append(f"{name.lower() if colon else name}{colon}{value}")
    return fields, pairs


def sizes_of(fields: dict[str, Any], path: Path) -> tuple[int, ...]:
    """The number of samples on each axis, fastest first."""
    sizes = tuple(int(n) for n in np.atleast_1d(fields.get("sizes", ())))
    if len(sizes) not in (2, 3, 4) or min(sizes) < 1 or len(sizes) != fields.get("dimension"):
        raise FileError(f"{path}: sizes {list(sizes)} make no image of two to four axes.")
    return sizes


def stored_type_of(fields: dict[str, Any], path: Path) -> np.dtype:
    """The type in the file, with its byte order."""
    name = str(fields.get("type", "")).strip().lower()
    if name not in DTYPES:
        raise FileError(f"{path}: voxels of type {name!r} are no numbers that are read here.")
    kind = np.dtype(DTYPES[name])
    text = ENCODINGS.get(str(fields.get("encoding", "")).lower()) == "text"
    if kind.itemsize == 1 or text:
        return kind
    endian = str(fields.get("endian", "")).lower()
    if endian not in ("little", "big"):
        raise DamagedScan(f"{path}: the header does not say the byte order (endian).")
    return kind.newbyteorder("<" if endian == "little" else ">")


def axes_of(
    fields: dict[str, Any], sizes: tuple[int, ...], path: Path
) -> tuple[tuple[int, ...], NDArray[np.float64], tuple[str, ...]]:
    """Which axes are spatial (1 to 3; 0 for channels), the affine to RAS+ mm, what is odd."""
    count = len(sizes)
    directions = fields.get("space directions")
    if directions is None:
        return _axes_without_space(fields, count, path)
    rows = [None if row is None or np.isnan(row).any() else np.asarray(row) for row in directions]
    in_time = any(row is not None and row.shape == (4,) for row in rows)
    rows, time = _without_time(rows)
    spatial = [axis for axis, row in enumerate(rows) if row is not None]
    if len(rows) != count or len(spatial) not in (2, 3) or count - len(spatial) > 1:
        raise FileError(f"{path}: {len(spatial)} of {count} axes lie in space, not two or three.")
    vectors = np.array([rows[axis] for axis in spatial], dtype=np.float64)
    if vectors.shape[1] != 3:
        if vectors.shape != (2, 2):
            raise DamagedScan(
                f"{path}: space directions have {vectors.shape[1]} components, not 3."
            )
        vectors = np.pad(vectors, ((0, 0), (0, 1)))
    origin = _origin(fields, path, in_time=in_time)
    flips, oddities = _to_ras(fields, path)
    scale, unknown = _mm_per_unit(fields.get("space units"), 3)
    affine = np.eye(4)
    affine[:3, : len(vectors)] = vectors.T * scale[:, None]
    if len(vectors) == 2:
        affine[:3, 2] = _third_axis(vectors)
    affine[:3, 3] = origin * scale
    with np.errstate(invalid="ignore"):  # what is not finite is refused with the volume
        return _numbered(fields, spatial, count, path, time), flips @ affine, (*oddities, *unknown)


def _without_time(rows: list[NDArray | None]) -> tuple[list[NDArray | None], int | None]:
    """Directions in a space of four dimensions, the last of which is time, as those in three.

    So ITK writes images of four axes: as "space dimension: 4", which has no name.

    Returns:
        The directions, ``None`` for the axis that runs along time, and which that is. As they came
        where no single axis, or another beside it, does.
    """
    known = [row for row in rows if row is not None]
    if any(row.shape != (4,) for row in known):
        return rows, None
    along = [(axis, row) for axis, row in enumerate(rows) if row is not None and row[3] != 0]
    if len(along) > 1 or any(row[:3].any() for _, row in along):
        return rows, None
    time = along[0][0] if along else None
    return [None if row is None or axis == time else row[:3] for axis, row in enumerate(rows)], time


def _origin(fields: dict[str, Any], path: Path, *, in_time: bool) -> NDArray[np.float64]:
    """Zero where it is not stated, as NaN says too."""
    found = fields.get("space origin")
    if found is None:
        return np.zeros(3)
    origin = np.asarray(found, dtype=np.float64)
    if in_time and origin.shape == (4,):
        origin = origin[:3]
    if origin.shape not in ((2,), (3,)):
        raise DamagedScan(f"{path}: space origin has {origin.size} components, not 3.")
    return np.pad(np.where(np.isnan(origin), 0.0, origin), (0, 3 - len(origin)))


def _third_axis(vectors: NDArray) -> NDArray:
    normal = np.cross(vectors[0], vectors[1])
    length = np.linalg.norm(normal)
    return normal / length if length > 0 else normal


def _axes_without_space(
    fields: dict[str, Any], count: int, path: Path
) -> tuple[tuple[int, ...], NDArray[np.float64], tuple[str, ...]]:
    kinds = _kinds(fields, count)
    inside = [axis for axis, kind in enumerate(kinds) if kind in ("domain", "space", "", "???")]
    spatial = inside[:3] if len(inside) >= 2 else list(range(min(3, count)))
    spacings = fields.get("spacings")
    spacings = np.ones(count) if spacings is None else np.asarray(spacings, dtype=float)
    if spacings.shape != (count,):
        raise DamagedScan(f"{path}: {spacings.size} spacings are given for {count} axes.")
    firsts = _firsts(fields, spacings)
    spacings = np.where(np.isfinite(spacings) & (spacings != 0), spacings, 1.0)
    units = list(np.atleast_1d(fields.get("units", ())))
    there = [units[axis] for axis in spatial] if len(units) == count else None
    scale, unknown = _mm_per_unit(there, len(spatial))
    steps = spacings[spatial] * scale  # one below 0 runs the other way, as ITK has it
    sizes = [*(float(step) for step in steps), *([1.0] * (3 - len(spatial)))]
    affine = np.diag([-sizes[0], -sizes[1], sizes[2], 1.0])
    affine[: len(spatial), 3] = firsts[spatial] * scale
    affine[:2, 3] = 0.0 - affine[:2, 3]
    note = ("No orientation in the header; the axes are taken to run left, posterior, superior.",)
    return _numbered(fields, spatial, count, path), affine, (*note, *unknown)


def _firsts(fields: dict[str, Any], spacings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the first voxel of each axis lies along it, in its unit; 0 where that is not stated.

    ``axis mins`` is the position of a node's first sample, but of a cell's border; what does not
    say which is taken for cells, as ITK does (http://teem.sourceforge.net/nrrd/format.html).
    """
    mins = np.asarray(fields.get("axis mins", fields.get("axismins", ())), dtype=np.float64)
    if mins.shape != spacings.shape or fields.get("spacings") is None:
        return np.zeros_like(spacings)
    centres = fields.get("centerings", fields.get("centers", ()))
    centres = centres.split() if isinstance(centres, str) else list(centres)
    nodes = np.zeros(len(mins), dtype=bool)
    if len(centres) == len(mins):
        nodes = np.array([str(word).lower() == "node" for word in centres])
    stated = np.isfinite(mins) & np.isfinite(spacings) & (spacings != 0)
    return np.where(stated, mins + np.where(nodes, 0.0, spacings / 2), 0.0)


def _kinds(fields: dict[str, Any], count: int) -> list[str]:
    """Advice on axes in space; ``"?"``, which no other axis may be, if their number is wrong."""
    kinds = fields.get("kinds")
    if kinds is None:
        return [""] * count
    return [str(kind).lower() for kind in kinds] if len(kinds) == count else ["?"] * count


def _numbered(
    fields: dict[str, Any], spatial: list[int], count: int, path: Path, time: int | None = None
) -> tuple[int, ...]:
    """0 for the channel axis (which ``time`` is whatever its kind), 1, 2, 3 for x, y, z."""
    kinds = _kinds(fields, count)
    allowed = set(_CHANNEL_KINDS)
    if str(fields.get("modality", "")).upper() == "DWMRI":
        allowed |= _LIST_OF_VECTORS
    numbered = []
    for axis in range(count):
        if axis in spatial:
            numbered.append(1 + spatial.index(axis))
        elif axis == time or kinds[axis] in allowed:
            numbered.append(0)
        else:
            raise FileError(
                f"{path}: axis {axis} is of kind {kinds[axis]!r} and not in space; only "
                "real scalar intensities, or a list of volumes of them, are read."
            )
    return tuple(numbered)


def _to_ras(fields: dict[str, Any], path: Path) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    space = str(fields.get("space", "")).strip().lower().removesuffix("-time")
    short = {"ras": "right-anterior-superior", "las": "left-anterior-superior",
             "lps": "left-posterior-superior", "rast": "right-anterior-superior",
             "last": "left-anterior-superior", "lpst": "left-posterior-superior"}  # fmt: skip
    words = short.get(space, space).split("-")
    signs = {"right": 1, "anterior": 1, "superior": 1, "left": -1, "posterior": -1, "inferior": -1}
    if len(words) == 3 and all(word in signs for word in words):
        return np.diag([*(float(signs[word]) for word in words), 1.0]), ()
    what = f"The space {space!r} is not anatomical" if space else "The space has no name"
    note = f"{what}; it is taken as left, posterior, superior."
    return np.diag([-1.0, -1.0, 1.0, 1.0]), (note,)


def _mm_per_unit(units: Any, count: int) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """What a length along each of so many axes is in mm, and what unit is not known here."""
    said = [] if units is None else [str(unit).strip().strip('"') for unit in np.atleast_1d(units)]
    said = [*said, *([""] * count)][:count]
    unknown = [unit for unit in dict.fromkeys(said) if unit not in {*_UNITS, *_NO_UNIT}]
    notes = tuple(f"The unit of length {unit!r} is not known: taken for mm." for unit in unknown)
    return np.array([_UNITS.get(unit, 1.0) for unit in said]), notes
