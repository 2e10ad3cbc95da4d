"""MetaImage (``.mha``, ``.mhd``), with the header's own lines kept.

The header is a few lines of ``Key = Value``; they are written back as they are but for what the
new voxels change. Geometry is ITK's: LPS, one direction an axis.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan, GeometryError
from meddenoise.io import binary
from meddenoise.io.detached import data_files_beside, read_parts
from meddenoise.io.metaimage_fields import (
    MOST_HEADER,
    NAMES,
    TYPES,
    affine_of,
    count_of,
    header_lines,
    is_big_endian,
    is_compressed,
    is_true,
    key_of,
    numbers_of,
    sizes_of,
    stored_type_of,
)
from meddenoise.io.plane_scan import PlaneScan, check_length, file_planes
from meddenoise.io.source import HeaderSource, check_float64_holds, make_volume, same_grid
from meddenoise.io.storage import Storage
from meddenoise.volume import Volume

__all__ = ["MetaSource", "metaimage_planes", "read_metaimage", "write_metaimage"]

_MOST_REST = 1 << 24


@dataclass(frozen=True, kw_only=True)
class MetaSource(HeaderSource):
    """A MetaImage header.

    Attributes:
        lines: the header's lines, the last of which names the data.
        data_files: separate files of voxels.
    """

    lines: tuple[str, ...] = field(repr=False)
    data_files: tuple[Path, ...] = ()

    @property
    def format(self) -> str:
        return "metaimage"

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path, *self.data_files)

    def details(self) -> dict[str, Any]:
        return {"fields": [key_of(line) for line in self.lines]}


def read_metaimage(path: Path) -> Volume:
    """Read a ``.mha``, or a ``.mhd`` whose data file lies in the same directory.

    Raises:
        FileError: damaged, truncated, or voxels that are no scalar intensities.
        GeometryError: a singular direction matrix.
    """
    with open(path, "rb") as stream:
        lines = header_lines(stream, path)
        fields = {key.strip(): value.strip() for key, _, value in (x.partition("=") for x in lines)}
        sizes, stored_type = sizes_of(fields, path), stored_type_of(fields, path)
        where = fields["ElementDataFile"]
        files: tuple[Path, ...] = ()
        if where.upper() == "LOCAL":
            stored = _read_data(stream, path, fields, sizes, stored_type)
        else:
            listed = stream.read(MOST_HEADER).decode("utf-8", "replace").splitlines()
            files = tuple(data_files_beside(path, where, listed, len(sizes)))
            stored = read_parts(
                files,
                path,
                sizes,
                lambda data, file, part: _read_data(data, file, fields, part, stored_type),
            )
    check_float64_holds(stored, path)
    array = stored.transpose(range(stored.ndim)[::-1])
    array = np.moveaxis(array, 3, 0) if array.ndim == 4 else array[None]
    storage = Storage.of(stored_type)
    source = MetaSource(
        path=path,
        storage=storage,
        shape=tuple(int(n) for n in array.shape[1:]),
        channels=int(array.shape[0]),
        affine=affine_of(fields, len(sizes), path),
        lines=tuple(lines),
        data_files=files,
    )
    return make_volume(
        array.astype(storage.dtype_for(stored), copy=False), source, modality=_modality(fields)
    )


def _modality(fields: dict[str, str]) -> str:
    modality = fields.get("Modality", "").removeprefix("MET_MOD_")
    return modality if modality in ("CT", "MR", "US") else ""


def metaimage_planes(path: Path) -> PlaneScan | None:
    """The scan to be read plane by plane; ``None`` unless header and raw voxels are one file.

    Raises:
        FileError, GeometryError: as :func:`read_metaimage`, for what the header tells.
    """
    with open(path, "rb") as stream:
        lines = header_lines(stream, path)
        begins = stream.tell()
    fields = {key.strip(): value.strip() for key, _, value in (x.partition("=") for x in lines)}
    sizes, stored_type = sizes_of(fields, path), stored_type_of(fields, path)
    raw = is_true(fields.get("BinaryData", "True")) and not is_compressed(lines)
    plain = fields["ElementDataFile"].upper() == "LOCAL" and "HeaderSize" not in fields
    if not (raw and plain and len(sizes) > 2):
        return None
    check_length(path, begins, sizes, stored_type)
    source = MetaSource(
        path=path,
        storage=Storage.of(stored_type),
        shape=sizes[:3],
        channels=sizes[3] if len(sizes) > 3 else 1,
        affine=affine_of(fields, len(sizes), path),
        lines=tuple(lines),
    )

    begin = partial(binary.open_at, path, begins)
    return file_planes(source, begin, stored_type, compressed=False, modality=_modality(fields))


def _read_data(
    stream: Any, path: Path, fields: dict[str, str], sizes: tuple[int, ...], kind: np.dtype
) -> NDArray:
    layout = sizes[::-1]
    nbytes = math.prod(sizes) * kind.itemsize
    skip = int(numbers_of(fields, "HeaderSize", path, (0,))[0])
    left = path.stat().st_size - stream.tell()
    if not is_true(fields.get("BinaryData", "True")):
        return _read_text(stream, path, layout, kind)
    compressed = is_true(fields.get("CompressedData", "False"))
    binary.check_claim(path, nbytes, left, compressed=compressed)
    if skip == -1 and not compressed:
        stream.seek(path.stat().st_size - nbytes)
    elif skip < 0 or skip > path.stat().st_size:
        raise DamagedScan(f"{path}: HeaderSize = {skip} leads out of the file.")
    elif skip > 0:
        stream.seek(skip)
    if not compressed:
        return binary.read_array(stream, layout, kind, path)
    # Bytes cannot be changed, and a volume's voxels can, whatever they were read from.
    return np.frombuffer(_unpacked(stream.read(), nbytes, path), kind).reshape(layout).copy()


def _unpacked(packed: bytes, nbytes: int, path: Path) -> bytes:
    """So many bytes of voxels from a zlib stream that is whole."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, nbytes)
        # The checksum comes after the last byte, and is looked at when all is unpacked.
        rest = unpacker.decompress(unpacker.unconsumed_tail, _MOST_REST)
    except zlib.error as error:
        raise DamagedScan(f"{path} is damaged: {error}.") from error
    if len(data) != nbytes:
        raise DamagedScan(
            f"{path} is truncated: {nbytes:,} bytes of voxels claimed, {len(data):,}."
        )
    if not unpacker.eof and len(rest) < _MOST_REST:
        raise DamagedScan(f"{path} is truncated: the checksum of its voxels is missing.")
    return data


def _read_text(stream: Any, path: Path, layout: tuple[int, ...], kind: np.dtype) -> NDArray:
    words = stream.read().split()
    if len(words) != math.prod(layout):
        raise DamagedScan(f"{path}: {math.prod(layout)} numbers expected, {len(words)} there.")
    try:
        return np.array([float(word) for word in words]).astype(kind).reshape(layout)
    except ValueError as error:
        raise DamagedScan(
            f"{path}: the text holds something that is no number: {error}."
        ) from error


def write_metaimage(
    volume: Volume,
    path: Path,
    *,
    source: MetaSource | None,
    storage: Storage,
    planes: binary.Planes | None = None,
) -> int:
    """Write one file, header and voxels, to ``path``; return how many voxels were clipped.

    With ``planes`` the voxels are theirs, one channel after the other, and not the volume's.
    """
    if volume.dims == 2 and volume.channels > 1:  # three axes are those of a volume
        volume = replace(volume, array=volume.array[..., None], padding=None)
    keep = (
        source is not None
        and same_grid(source, volume)
        and source.channels == volume.channels
        and len(source.shape) == volume.dims
    )
    lines = list(source.lines) if source is not None and keep else _new_lines(volume)
    values = volume.array[0] if volume.channels == 1 else np.moveaxis(volume.array, 0, -1)
    if source is not None and keep and volume.channels == 1 and count_of(lines) == 4:
        values = values[..., None]
    values = values.transpose(range(values.ndim)[::-1])
    voxels = values if planes is None else planes
    if planes is not None:  # compressed voxels would be gathered in memory first
        lines = [
            "CompressedData = False" if key_of(line) == "CompressedData" else line
            for line in lines
            if key_of(line) != "CompressedDataSize"
        ]
    order: Literal["<", ">"] = ">" if is_big_endian(lines) else "<"
    with open(path, "wb") as raw:
        if not is_compressed(lines):
            raw.write(_header_bytes(lines, storage, 0))
            return binary.write_voxels(raw, voxels, storage, order)
        packed = _Packed()  # the header, which comes first, says how long it is
        clipped = binary.write_voxels(packed, voxels, storage, order)
        parts = packed.end()
        raw.write(_header_bytes(lines, storage, sum(map(len, parts))))
        raw.writelines(parts)
    return clipped


class _Packed:
    """A zlib stream in memory."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(1)
        self._parts: list[bytes] = []

    def write(self, data: memoryview) -> None:
        """Add voxels."""
        self._parts.append(self._packer.compress(data))

    def end(self) -> list[bytes]:
        """The whole stream, in pieces."""
        return [*self._parts, self._packer.flush()]


def _header_bytes(lines: list[str], storage: Storage, packed: int) -> bytes:
    text = "\n".join(_final_lines(lines, storage, packed)) + "\n"
    return text.encode("utf-8", "surrogateescape")


def _final_lines(lines: list[str], storage: Storage, packed: int) -> list[str]:
    """The header with the type and place of what is written."""
    kind = f"{storage.dtype.kind}{storage.dtype.itemsize}"
    kept: list[str] = []
    said = any(key_of(line) == "CompressedDataSize" for line in lines)
    for line in lines:
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "CompressedData" and packed and not said:
            # Beside a header the file's own size says it; behind one, ITK must be told.
            kept += [line, f"CompressedDataSize = {packed}"]
            continue
        if key == "HeaderSize":
            continue
        if key == "ElementType" and TYPES.get(value.upper()) != kind:
            line = f"ElementType = {NAMES[kind]}"
        if key == "CompressedDataSize":
            line = f"CompressedDataSize = {packed}"
        if key == "BinaryData":
            line = "BinaryData = True"
        if key == "ElementDataFile":
            line = "ElementDataFile = LOCAL"
        if key in ("ElementMin", "ElementMax"):
            continue
        kept.append(line)
    return kept


def _new_lines(volume: Volume) -> list[str]:
    """ITK's header for a grid; a shear has no place in it."""
    count = volume.dims + (1 if volume.channels > 1 else 0)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    spacing = np.ones(count)
    spacing[: volume.dims] = volume.spacing
    direction, origin = np.eye(count), np.zeros(count)
    used = volume.dims
    direction[:used, :used] = lps[:used, :used] / spacing[:used]
    origin[:used] = lps[:used, 3]
    if np.abs(direction.T @ direction - np.eye(count)).max() > 1e-4:
        raise GeometryError(
            "The grid is sheared, which MetaImage cannot hold: write .nii.gz or .nrrd instead."
        )
    sizes = (*volume.shape, *([volume.channels] if volume.channels > 1 else []))
    return [
        "ObjectType = Image",
        f"NDims = {count}",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        "CompressedDataSize = 0",
        f"TransformMatrix = {_words(direction.T.ravel())}",
        f"Offset = {_words(origin)}",
        f"ElementSpacing = {_words(spacing)}",
        f"DimSize = {' '.join(str(n) for n in sizes)}",
        "ElementType = MET_FLOAT",
        "ElementDataFile = LOCAL",
    ]


def _words(values: NDArray) -> str:
    return " ".join(repr(float(value) + 0.0) for value in values)
