"""NRRD, with the header's own text kept.

pynrrd interprets the header; its lines are kept and written back as they are, so measurement
frame, kinds, custom keys and comments survive. Only type, encoding and what follows from them
change when they must.
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan, FileError
from meddenoise.io import binary
from meddenoise.io.detached import data_files_beside, read_parts
from meddenoise.io.nrrd_fields import (
    DTYPES,
    ENCODINGS,
    TYPE_NAMES,
    axes_of,
    parse_fields,
    sizes_of,
    stored_type_of,
)
from meddenoise.io.plane_scan import PlaneScan, check_length, file_planes
from meddenoise.io.source import HeaderSource, check_float64_holds, make_volume, same_grid
from meddenoise.io.storage import Storage
from meddenoise.volume import Volume

__all__ = ["NrrdSource", "nrrd_planes", "read_nrrd", "write_nrrd"]

_MOST_HEADER = 1 << 20


@dataclass(frozen=True, kw_only=True)
class NrrdSource(HeaderSource):
    """A NRRD header.

    Attributes:
        text: the header's lines, joined by newlines, without the empty line at the end.
        axes: which array axis each file axis is: 0 for channels, 1 to 3 for x, y, z.
        data_files: separate files of voxels.
    """

    text: str = field(repr=False)
    axes: tuple[int, ...]
    data_files: tuple[Path, ...] = ()

    @property
    def format(self) -> str:
        return "nrrd"

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path, *self.data_files)

    def details(self) -> dict[str, Any]:
        lines = [line for line in self.text.splitlines()[1:] if not line.startswith("#")]
        fields = [line.split(":")[0] for line in lines if ":" in line]
        return {"fields": fields, "magic": self.text.split("\n", 1)[0]}


def read_nrrd(path: Path) -> Volume:
    """Read a ``.nrrd``, or a ``.nhdr`` whose data file lies in the same directory.

    Raises:
        FileError: damaged, truncated, or voxels that are no scalar intensities.
        GeometryError: singular space directions.
    """
    with open(path, "rb") as stream:
        text = _header_text(stream, path)
        fields = parse_fields(text, path)
        sizes, stored_type = sizes_of(fields, path), stored_type_of(fields, path)
        axes, affine, oddities = axes_of(fields, sizes, path)
        detached = fields.get("data file", fields.get("datafile"))
        files: tuple[Path, ...] = ()
        if detached is None:
            stored = _read_data(stream, path, fields, sizes, stored_type)
        else:
            said, listed = _said_files(text)
            files = tuple(data_files_beside(path, said, listed, len(sizes)))
            stored = read_parts(
                files,
                path,
                sizes,
                lambda data, file, part: _read_data(data, file, fields, part, stored_type),
            )
    check_float64_holds(stored, path)
    array, shape, channels = _arranged(stored, axes)
    storage = Storage.of(stored_type)
    source = NrrdSource(
        path=path,
        storage=storage,
        shape=shape,
        channels=channels,
        affine=affine,
        oddities=oddities,
        text=text,
        axes=axes,
        data_files=files,
    )
    return make_volume(array.astype(storage.dtype_for(stored), copy=False), source)


def nrrd_planes(path: Path) -> PlaneScan | None:
    """The scan to be read plane by plane; ``None`` unless it is one binary file in that order.

    Raises:
        FileError, GeometryError: as :func:`read_nrrd`, for what the header tells.
    """
    with open(path, "rb") as stream:
        text = _header_text(stream, path)
        fields = parse_fields(text, path)
        sizes, stored_type = sizes_of(fields, path), stored_type_of(fields, path)
        axes, affine, oddities = axes_of(fields, sizes, path)
        encoding = ENCODINGS.get(str(fields.get("encoding", "")).strip().lower())
        plain = not ({"data file", "datafile"} & set(fields)) and not _skip(fields, "byte")
        known = encoding in ("raw", "gzip", "bzip2")
        if not (known and plain and axes in ((1, 2, 3), (1, 2, 3, 0))):
            return None
        for _ in range(_skip(fields, "line")):
            stream.readline()
        begins = stream.tell()
    compressed = encoding != "raw"
    check_length(path, begins, sizes, stored_type, compressed=compressed)
    source = NrrdSource(
        path=path,
        storage=Storage.of(stored_type),
        shape=sizes[:3],
        channels=sizes[3] if len(sizes) > 3 else 1,
        affine=affine,
        oddities=oddities,
        text=text,
        axes=axes,
    )

    assert encoding is not None
    begin = partial(binary.unpacked_at, path, begins, encoding)
    return file_planes(source, begin, stored_type, compressed=compressed)


def _header_text(stream: Any, path: Path) -> str:
    lines: list[str] = []
    size = 0
    while True:
        line = stream.readline(_MOST_HEADER)
        size += len(line)
        if size > _MOST_HEADER:
            raise DamagedScan(f"{path}: the header is longer than a million bytes; it is damaged.")
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if not line or not text:
            break
        lines.append(text)
    return "\n".join(lines)


def _said_files(text: str) -> tuple[str, list[str]]:
    """What ``data file`` says, and the lines after it, which ``LIST`` takes for names."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        name, _, value = line.partition(":")
        if name.strip().lower() in ("data file", "datafile"):
            return value.strip(), lines[number + 1 :]
    return "", []


def _read_data(
    stream: Any, path: Path, fields: dict[str, Any], sizes: tuple[int, ...], kind: np.dtype
) -> NDArray:
    """The stored values with the axes reversed (C order: the file's fastest axis last)."""
    encoding = ENCODINGS.get(str(fields.get("encoding", "")).strip().lower())
    if encoding is None:
        raise FileError(f"{path}: encoding {fields.get('encoding')!r} is not read here.")
    layout = sizes[::-1]
    nbytes = math.prod(sizes) * kind.itemsize
    for _ in range(_skip(fields, "line")):
        if not stream.readline():
            break
    skip = _skip(fields, "byte")
    left = path.stat().st_size - stream.tell()
    if encoding == "text":
        return _read_text(stream, path, layout, kind)
    if encoding == "hex":
        return _read_hex(stream, path, layout, kind)
    binary.check_claim(path, nbytes, left, compressed=encoding != "raw")
    if skip < 0:
        if encoding != "raw" or nbytes > left:
            raise FileError(f"{path}: byte skip {skip} makes sense for raw data only.")
        stream.seek(-nbytes, io.SEEK_END)
    data = binary.decompressor(encoding, stream)
    if skip > 0:
        binary.skip_exactly(data, skip, path)
    stored = binary.read_array(data, layout, kind, path)
    if encoding != "raw":
        binary.count_rest(data, path)
    return stored


def _skip(fields: dict[str, Any], what: str) -> int:
    return int(fields.get(f"{what} skip", fields.get(f"{what}skip", 0)) or 0)


def _read_text(stream: Any, path: Path, layout: tuple[int, ...], kind: np.dtype) -> NDArray:
    count = math.prod(layout)
    words = stream.read().split()
    if len(words) != count:
        raise DamagedScan(f"{path}: {count} numbers expected, {len(words)} there.")
    try:
        return np.array([float(word) for word in words]).astype(kind).reshape(layout)
    except ValueError as error:
        raise DamagedScan(
            f"{path}: the text holds something that is no number: {error}."
        ) from error


def _read_hex(stream: Any, path: Path, layout: tuple[int, ...], kind: np.dtype) -> NDArray:
    """Two digits a byte, and white space wherever their writer liked it."""
    nbytes = math.prod(layout) * kind.itemsize
    try:
        data = bytearray.fromhex(stream.read().decode("ascii"))
    except ValueError as error:
        raise DamagedScan(
            f"{path}: the voxels hold something that is no hexadecimal number: {error}."
        ) from error
    if len(data) != nbytes:
        raise DamagedScan(f"{path}: {nbytes:,} bytes of voxels claimed, {len(data):,} there.")
    return np.frombuffer(data, kind).reshape(layout)


def _arranged(stored: NDArray, axes: tuple[int, ...]) -> tuple[NDArray, tuple[int, ...], int]:
    """``(C, X, Y[, Z])`` from reversed file axes."""
    values = stored.transpose(range(stored.ndim)[::-1])  # the file's order of axes
    order = sorted(range(len(axes)), key=lambda axis: axes[axis])
    values = values.transpose(order)
    if 0 not in axes:
        values = values[None]
    return values, tuple(int(n) for n in values.shape[1:]), int(values.shape[0])


def write_nrrd(
    volume: Volume,
    path: Path,
    *,
    source: NrrdSource | None,
    storage: Storage,
    planes: binary.Planes | None = None,
) -> int:
    """Write an attached-header file to ``path`` and return how many voxels were clipped.

    With ``planes`` the voxels are theirs, one channel after the other, and not the volume's.
    """
    keep = (
        source is not None
        and same_grid(source, volume)
        and source.channels == volume.channels
        and len(source.shape) == volume.dims
    )
    if source is not None and keep:
        axes, lines = source.axes, source.text.split("\n")
    else:
        axes = (*range(1, volume.dims + 1), *([0] if volume.channels > 1 else []))
        lines = _new_lines(volume, axes)
    values = volume.array if 0 in axes else volume.array[0]
    shift = 0 if 0 in axes else 1
    values = values.transpose([axis - shift for axis in axes][::-1])
    voxels = values if planes is None else planes
    encoding, text = _final_text(lines, storage)
    order: Literal["<", ">"] = ">" if _says_big_endian(text) else "<"
    with open(path, "wb") as raw:
        raw.write(text.encode("utf-8", "surrogateescape") + b"\n\n")
        if encoding == "gzip":
            with gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed:
                return binary.write_voxels(packed, voxels, storage, order)
        if encoding == "bzip2":
            with bz2.BZ2File(raw, "wb") as packed:
                return binary.write_voxels(packed, voxels, storage, order)
        return binary.write_voxels(raw, voxels, storage, order)


def _says_big_endian(text: str) -> bool:
    return any(line.lower().replace(" ", "") == "endian:big" for line in text.split("\n"))


def _final_text(lines: list[str], storage: Storage) -> tuple[str, str]:
    """The header with the type, encoding and byte order of what is written."""
    kind = f"{storage.dtype.kind}{storage.dtype.itemsize}"
    kept: list[str] = []
    encoding = "gzip"
    seen: set[str] = set()
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        is_field = ":" in line and not line.startswith("#") and ":=" not in line
        if is_field and name in ("data file", "datafile"):
            if value.upper().startswith("LIST"):
                break  # the rest are file names
            continue
        if is_field and name in ("line skip", "lineskip", "byte skip", "byteskip"):
            continue
        if is_field and name == "type" and DTYPES.get(value.lower()) != kind:
            line = f"type: {TYPE_NAMES[kind]}"
        if is_field and name == "encoding":
            encoding = ENCODINGS.get(value.lower(), "gzip")
            if encoding in ("text", "hex"):
                encoding, line = "gzip", "encoding: gzip"
        if is_field:
            seen.add(name)
        kept.append(line)
    if "endian" not in seen and storage.dtype.itemsize > 1:
        kept.append("endian: little")
    return encoding, "\n".join(kept)


def _new_lines(volume: Volume, axes: tuple[int, ...]) -> list[str]:
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    sizes = [volume.channels if axis == 0 else volume.shape[axis - 1] for axis in axes]
    directions = ["none" if axis == 0 else _vector(lps[:3, axis - 1]) for axis in axes]
    kinds = ["list" if axis == 0 else "domain" for axis in axes]
    return [
        "NRRD0004",
        "# Complete NRRD file format specification at:",
        "# http://teem.sourceforge.net/nrrd/format.html",
        "type: float",
        f"dimension: {len(axes)}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(n) for n in sizes)}",
        f"space directions: {' '.join(directions)}",
        f"kinds: {' '.join(kinds)}",
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector(lps[:3, 3])}",
    ]


def _vector(values: NDArray) -> str:
    return "(" + ",".join(repr(float(value) + 0.0) for value in values) + ")"
