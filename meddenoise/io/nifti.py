"""NIfTI-1 and NIfTI-2, with every byte of the header kept.

nibabel interprets the header; the bytes before the voxels (header and extensions) are kept
as they are and written back as they are, so codes, units, both transforms, intent, slice
timing and extensions survive a round trip bit by bit.
"""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan, FileError, GeometryError
from meddenoise.io import binary
from meddenoise.io.nifti_fields import affine_of, mm_between_places, mm_per_unit
from meddenoise.io.plane_scan import PlaneScan, check_length, file_planes
from meddenoise.io.source import HeaderSource, check_float64_holds, make_volume, same_grid
from meddenoise.io.storage import Storage
from meddenoise.volume import Volume

__all__ = ["NiftiSource", "nifti_planes", "read_nifti", "write_nifti"]

_SCALARS = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
            1024: "i8", 1280: "u8"}  # fmt: skip
_CODES = {np.dtype(kind): code for code, kind in _SCALARS.items()}
_REFUSED = {0: "untyped", 1: "1-bit", 32: "complex", 128: "RGB colour", 1536: "128-bit float",
            1792: "complex", 2048: "complex", 2304: "RGBA colour"}  # fmt: skip
_MOST_EXTENSION_BYTES = 1 << 26
_LARGEST = float(np.finfo(np.float32).max) / 2
_GZIP_LEVEL = 1  # on noisy voxels as small as level 6 and three times as fast


@dataclass(frozen=True, kw_only=True)
class NiftiSource(HeaderSource):
    """A NIfTI header.

    Attributes:
        prefix: all bytes of the header and its extensions.
        byteorder: ``"<"`` or ``">"``.
        paired: read from a ``.hdr``/``.img`` pair.
    """

    prefix: bytes = field(repr=False)
    byteorder: Literal["<", ">"]
    paired: bool = False

    @property
    def format(self) -> str:
        return "nifti"

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path, *_image_of_pair(self.path)) if self.paired else (self.path,)

    def header(self) -> Any:
        """The header as nibabel sees it."""
        return _parse(self.prefix, self.path)

    def details(self) -> dict[str, Any]:
        header = self.header()
        return {
            "version": 2 if int(header["sizeof_hdr"]) == 540 else 1,
            "qform_code": int(header["qform_code"]),
            "sform_code": int(header["sform_code"]),
            "extensions": len(self.prefix) > int(header["sizeof_hdr"]) + 4,
        }


def read_nifti(path: Path) -> Volume:
    """Read a ``.nii``, ``.nii.gz`` or ``.hdr``/``.img`` pair.

    Raises:
        FileError: truncated or damaged, or of a kind that holds no intensities (colour,
            complex, vectors).
        GeometryError: a singular affine.
    """
    compressed = binary.is_gzip(path)
    with binary.open_maybe_gzip(path) as stream:
        prefix = _read_prefix(stream, path)
        header = _parse(prefix, path)
        shape, channels = _shape(header, path)
        storage, stored_type = _storage(header, path)
        nbytes = math.prod((channels, *shape)) * stored_type.itemsize
        layout = (channels, *shape[::-1])
        if _is_paired(header):
            stored, rest = _read_pair(path, header, layout, stored_type)
        else:
            available = path.stat().st_size - (0 if compressed else len(prefix))
            binary.check_claim(path, nbytes, available, compressed=compressed)
            stored = binary.read_array(stream, layout, stored_type, path)
            rest = binary.count_rest(stream, path)
    check_float64_holds(stored, path)
    source = _source(path, prefix, header, rest)
    array = storage.decode(stored) if storage.is_scaled else _as_floats(stored, storage)
    return make_volume(array.transpose(0, 3, 2, 1), source)


def nifti_planes(path: Path) -> PlaneScan | None:
    """The scan to be read plane by plane, compressed or not; ``None`` for a pair of files.

    Raises:
        FileError, GeometryError: as :func:`read_nifti`, for what the header tells.
    """
    compressed = binary.is_gzip(path)
    with binary.open_maybe_gzip(path) as stream:
        prefix = _read_prefix(stream, path)
    header = _parse(prefix, path)
    if _is_paired(header):
        return None
    shape, channels = _shape(header, path)
    _, stored_type = _storage(header, path)
    begins = 0 if compressed else len(prefix)
    rest = check_length(path, begins, (channels, *shape), stored_type, compressed=compressed)

    def begin() -> BinaryIO:
        stream = binary.open_maybe_gzip(path)
        binary.skip_exactly(stream, len(prefix), path)
        return stream

    source = _source(path, prefix, header, rest)
    return file_planes(source, begin, stored_type, compressed=compressed)


def _is_paired(header: Any) -> bool:
    return bytes(header["magic"])[:2] == b"ni"


def _source(path: Path, prefix: bytes, header: Any, rest: int) -> NiftiSource:
    """What is kept of a header that was looked through."""
    shape, channels = _shape(header, path)
    return NiftiSource(
        path=path,
        storage=_storage(header, path)[0],
        shape=shape,
        channels=channels,
        affine=affine_of(header, path),
        oddities=_oddities(header, rest),
        prefix=prefix,
        byteorder=header.endianness,
        paired=_is_paired(header),
    )


def _as_floats(stored: NDArray, storage: Storage) -> NDArray:
    """No copy where the file holds native floats already."""
    return stored.astype(storage.dtype_for(stored), copy=False)


def _read_prefix(stream: Any, path: Path) -> bytes:
    head = binary.read_exactly(stream, 348, path)
    if head[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c"):
        head += binary.read_exactly(stream, 540 - 348, path)
    header = _parse(head, path)
    if _is_paired(header):
        return head + _extensions(stream, path)
    offset = _offset(header, path)
    if offset < len(head):
        if offset > 0:
            raise DamagedScan(
                f"{path}: voxels cannot begin at byte {offset}, inside the {len(head)}-byte header."
            )
        offset = len(head) + 4
    if offset - len(head) > _MOST_EXTENSION_BYTES:
        raise DamagedScan(f"{path}: the header claims {offset:,} bytes of extensions.")
    return head + binary.read_exactly(stream, offset - len(head), path)


def _extensions(stream: Any, path: Path) -> bytes:
    """What follows the header of a pair, as it stands in a single file; nothing if it says so."""
    try:
        rest = stream.read(_MOST_EXTENSION_BYTES + 1)
    except binary.DAMAGED as error:
        raise DamagedScan(f"{path} is damaged or truncated: {error}.") from error
    if len(rest) < 4 or not rest[0]:
        return b""
    if len(rest) > _MOST_EXTENSION_BYTES:
        raise DamagedScan(f"{path}: the header is followed by more than extensions can be.")
    return rest + bytes((4 - len(rest)) % 16)  # voxels begin at a multiple of 16


def _offset(header: Any, path: Path) -> int:
    """Where the header says that the voxels begin."""
    try:
        return int(header["vox_offset"])
    except (ValueError, OverflowError) as error:
        raise DamagedScan(f"{path}: the header's vox_offset is not a number.") from error


def _parse(prefix: bytes, path: Path) -> Any:
    import nibabel as nib
    from nibabel.spatialimages import HeaderDataError

    v2 = prefix[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c")
    kind, size = (nib.Nifti2Header, 540) if v2 else (nib.Nifti1Header, 348)
    try:
        return kind.from_fileobj(BytesIO(prefix[:size] + bytes(4)), check=False)
    except (HeaderDataError, ValueError) as error:
        raise DamagedScan(f"{path}: the NIfTI header is damaged: {error}.") from error


def _shape(header: Any, path: Path) -> tuple[tuple[int, ...], int]:
    """Spatial shape (always three axes) and the number of volumes."""
    dim = [int(n) for n in header["dim"]]
    if not 2 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1:
        raise DamagedScan(f"{path}: the header's dimensions {dim} make no image.")
    sizes = dim[1 : dim[0] + 1] + [1] * (7 - dim[0])
    if max(sizes[4:]) > 1:
        raise FileError(
            f"{path} holds vectors or five dimensions ({sizes[:5]}), not intensities in space and "
            "time: extract one component first."
        )
    return tuple(sizes[:3]), sizes[3]


def _storage(header: Any, path: Path) -> tuple[Storage, np.dtype]:
    code = int(header["datatype"])
    if code not in _SCALARS:
        kind = _REFUSED.get(code, f"datatype {code}")
        raise FileError(
            f"{path} holds {kind} voxels, not real scalar intensities: extract one component first."
        )
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope):
        slope, intercept = 1.0, 0.0  # NIfTI-1: "if scl_slope is nonzero, then scale"
    if not np.isfinite(intercept):
        raise DamagedScan(f"{path}: scl_inter is {intercept}, the voxels have no values.")
    stored_type = np.dtype(_SCALARS[code]).newbyteorder(header.endianness)
    return Storage.of(_SCALARS[code], slope, intercept), stored_type


def _oddities(header: Any, rest: int) -> tuple[str, ...]:
    found = []
    if (header["pixdim"][1:4] < 0).any() and not int(header["sform_code"]):
        found.append("Voxel sizes below 0 in the header are taken without their sign.")
    if not int(header["sform_code"]) and not int(header["qform_code"]):
        found.append("No orientation in the header (sform and qform codes are 0).")
    apart = mm_between_places(header)
    if apart:
        found.append(
            f"The header's sform and qform put voxels up to {apart:.3g} mm apart, and programs "
            "differ in which they take: here it is the sform."
        )
    if rest:
        found.append(f"{rest:,} bytes after the voxels are not part of the image.")
    return tuple(found)


def _image_of_pair(path: Path) -> tuple[Path, ...]:
    name = path.name[: -len(".gz")] if path.name.lower().endswith(".gz") else path.name
    stem = name[: -len(".hdr")] if name.lower().endswith(".hdr") else name
    found = [path.with_name(stem + end) for end in (".img", ".img.gz", ".IMG")]
    return tuple(candidate for candidate in found if candidate.is_file())[:1]


def _read_pair(
    path: Path, header: Any, layout: tuple[int, ...], stored_type: np.dtype
) -> tuple[NDArray, int]:
    images = _image_of_pair(path)
    if not images:
        raise FileError(f"{path} is the header of a pair, and its .img file is not beside it.")
    image = images[0]
    offset = max(0, _offset(header, path))
    compressed = binary.is_gzip(image)
    nbytes = math.prod(layout) * stored_type.itemsize
    available = image.stat().st_size - (0 if compressed else offset)
    binary.check_claim(image, nbytes, available, compressed=compressed)
    with binary.open_maybe_gzip(image) as stream:
        binary.skip_exactly(stream, offset, image)
        stored = binary.read_array(stream, layout, stored_type, image)
        return stored, binary.count_rest(stream, image)


def write_nifti(
    volume: Volume,
    path: Path,
    *,
    source: NiftiSource | None,
    storage: Storage,
    compress: bool,
    planes: binary.Planes | None = None,
) -> int:
    """Write to ``path`` and return how many voxels were clipped.

    With a source the header's bytes are kept; only what must change does: the type and scale
    if ``storage`` is another, dimensions and transforms if the grid is another. With ``planes`` the
    voxels are theirs, one channel after the other, and not the volume's.
    """
    array = volume.array if volume.dims == 3 else volume.array[..., None]
    values = array.transpose(0, 3, 2, 1) if planes is None else planes
    prefix, byteorder = _prefix_for(volume, source, storage)
    with open(path, "wb") as raw:
        if not compress:
            raw.write(prefix)
            return binary.write_voxels(raw, values, storage, byteorder)
        # No name and no time in the gzip header: the same voxels give the same file.
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as packed:
            packed.write(prefix)
            return binary.write_voxels(packed, values, storage, byteorder)


def _prefix_for(
    volume: Volume, source: NiftiSource | None, storage: Storage
) -> tuple[bytes, Literal["<", ">"]]:
    if source is None:
        header = _new_header(volume)
        rest = bytes(4)
    else:
        header = source.header()
        rest = source.prefix[int(header["sizeof_hdr"]) :] or bytes(4)
        there, whole = same_grid(source, volume), source.channels == volume.channels
        if there and whole and storage == source.storage and not source.paired:
            return source.prefix, source.byteorder
        if not there:
            _set_grid(header, volume)
        elif not whole:  # fewer volumes lie where all did: both transforms stay
            _set_shape(header, volume)
    if source is None or storage != source.storage:
        header["datatype"] = _CODES[storage.dtype]
        header["bitpix"] = storage.dtype.itemsize * 8
        header["scl_slope"], header["scl_inter"] = storage.slope, storage.intercept
    if source is None or source.paired:
        header["magic"] = b"n+2" if int(header["sizeof_hdr"]) == 540 else b"n+1"
        header["vox_offset"] = int(header["sizeof_hdr"]) + len(rest)
    order: Literal["<", ">"] = "<" if header.endianness == "<" else ">"
    return header.binaryblock + rest, order


def _new_header(volume: Volume) -> Any:
    import nibabel as nib

    big = max(volume.shape) > 32767 or volume.channels > 32767
    header = nib.Nifti2Header(endianness="<") if big else nib.Nifti1Header(endianness="<")
    header.set_xyzt_units("mm", "sec" if volume.channels > 1 else None)
    _set_grid(header, volume)
    return header


def _set_grid(header: Any, volume: Volume) -> None:
    """Dimensions, voxel sizes and both transforms (the quaternion cannot hold a shear)."""
    _set_shape(header, volume)
    scale = 1 / mm_per_unit(header)
    affine = np.diag([scale, scale, scale, 1.0]) @ volume.affine
    if np.abs(affine).max() > _LARGEST:
        raise GeometryError(
            f"The grid lies {np.abs(affine).max():.3g} from the scanner's centre, further than "
            "NIfTI can say: mend the origin and the spacing first."
        )
    header["pixdim"][1:4] = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    header.set_sform(affine, code=int(header["sform_code"]) or 1)
    header.set_qform(affine, code=int(header["qform_code"]) or 1, strip_shears=True)


def _set_shape(header: Any, volume: Volume) -> None:
    spatial = (*volume.shape, *([1] * (3 - volume.dims)))
    header.set_data_shape((*spatial, volume.channels) if volume.channels > 1 else spatial)
