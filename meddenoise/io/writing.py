"""``write``: a Volume back to a file, in the source's own header where the format is the same."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from meddenoise.errors import OutputError, ParameterError
from meddenoise.io.atomic import atomic_directory, atomic_files
from meddenoise.io.binary import Planes
from meddenoise.io.formats import EXTENSIONS, RASTER_FORMATS, format_of_name
from meddenoise.io.named import path_of
from meddenoise.io.source import HeaderSource
from meddenoise.io.storage import Storage
from meddenoise.io.write_check import Compression, Derivation, check_write, refuse_inputs
from meddenoise.io.write_report import WriteReport
from meddenoise.volume import Volume

__all__ = [
    "PLANE_FORMATS",
    "Compression",
    "Derivation",
    "extension_for",
    "write",
    "write_report",
]

# Formats that can be written plane by plane.
PLANE_FORMATS = ("nifti", "nrrd", "metaimage", "zarr", "dicom")


def extension_for(volume: Volume) -> str:
    """The extension that keeps a volume's own format: ``""`` for a DICOM series (a directory).

    ``.nii.gz`` where there is no source, ``.png`` for what came as JPEG (lossless).
    """
    source = volume.source
    if not isinstance(source, HeaderSource):
        return ".nii.gz"
    if source.format == "dicom":
        return ""
    _, extension = format_of_name(source.path)
    known = extension if EXTENSIONS.get(extension) == source.format else ""
    if source.format == "jpeg" or known in (".jpg", ".jpeg"):
        return ".png"
    if source.format in RASTER_FORMATS or source.format == "raster":
        return known or extension or ".png"
    default = {"nifti": ".nii.gz", "nrrd": ".nrrd", "metaimage": ".mha", "zarr": ".zarr"}[
        source.format
    ]
    return {".mhd": ".mha", ".nhdr": ".nrrd"}.get(known, known) or default


def write(
    volume: Volume,
    path: str | os.PathLike[str],
    *,
    like: Volume | None = None,
    overwrite: bool = False,
    dtype: str = "same",
    derivation: Derivation = "noise reduction",
    compress: Compression | None = None,
    deterministic_uids: bool = False,
    keep_private: bool = False,
    allow_irregular: bool = False,
) -> Path:
    """Write a volume; the path's extension names the format, none means a DICOM series.

    In the source's own format the original header is kept; NIfTI's byte by byte. A DICOM
    series is a new, derived series that refers to its source. Another format gets the grid.
    Nothing appears at ``path`` unless it is whole.

    Args:
        volume: what to write.
        path: a file, or a directory to be made for a DICOM series.
        like: the volume whose header to use; the volume's own source by default.
        overwrite: whether something that exists may be replaced; never what was read.
        dtype: ``"same"``: the source's stored type and scale, rounded to nearest and clipped
            (a :class:`meddenoise.io.ClippingWarning` says how often); ``"float32"``: floats where
            the format has them.
        derivation: what a derived DICOM series says was done.
        compress: for DICOM, a lossless transfer syntax instead of explicit little endian; what is
            written is decoded again and compared.
        deterministic_uids: for DICOM, UIDs that are a hash of the source's, the history and the
            pixels, instead of random ones.
        keep_private: for DICOM, private elements stay. They may identify the patient.
        allow_irregular: a DICOM series whose slices make no regular, upright grid may be written
            to a format that can hold no other: see :mod:`meddenoise.io.dicom.regular`.

    Returns:
        The path written.

    Raises:
        OutputError: it exists, is the input, cannot be written, or cannot hold these voxels.
        GeometryError: ``like`` has another grid, or the slices are irregular and the format
            has no place for that.
        ParameterError: an unknown ``dtype`` or compression, or an option of DICOM for another
            format.
    """
    report = write_report(
        volume,
        path,
        like=like,
        overwrite=overwrite,
        dtype=dtype,
        derivation=derivation,
        compress=compress,
        deterministic_uids=deterministic_uids,
        keep_private=keep_private,
        allow_irregular=allow_irregular,
    )
    report.warn_if_clipped()
    return report.path


def write_report(
    volume: Volume,
    path: str | os.PathLike[str],
    *,
    like: Volume | None = None,
    overwrite: bool = False,
    dtype: str = "same",
    derivation: Derivation = "noise reduction",
    compress: Compression | None = None,
    deterministic_uids: bool = False,
    keep_private: bool = False,
    allow_irregular: bool = False,
    beside: Mapping[Path, bytes] | None = None,
    planes: Planes | None = None,
) -> WriteReport:
    """:func:`write`, returning all there is to know about it instead of warning.

    ``beside`` are further files and their contents, which appear together with the scan or not
    at all, by the same rules; not beside a DICOM series.

    ``planes`` are the voxels of a scan that is not in memory, parts ``(X, Y, n)`` from first to
    last, one channel after the other; ``volume`` then tells the rest. For volumes in NIfTI, NRRD,
    MetaImage, zarr, and DICOM that was opened by :func:`meddenoise.io.planes.open_planes`.
    """
    target = path_of(path)
    beside = beside or {}
    kind, source = check_write(
        volume,
        target,
        like=like,
        dtype=dtype,
        derivation=derivation,
        compress=compress,
        deterministic_uids=deterministic_uids,
        keep_private=keep_private,
        allow_irregular=allow_irregular,
    )
    if planes is not None and (kind not in PLANE_FORMATS or volume.dims != 3):
        raise OutputError(
            f"{target}: a scan that is read plane by plane is written to .nii, .nii.gz, .nrrd, "
            ".mha, .zarr or DICOM only."
        )
    for place in beside:
        refuse_inputs(place, volume, like)
    if kind == "dicom":
        if beside:
            raise ParameterError(f"{target}: no other files are written beside a DICOM series.")
        from meddenoise.io.dicom.writing import write_series

        return write_series(
            volume,
            target,
            source,
            overwrite=overwrite,
            derivation=derivation,
            compress=compress,
            deterministic_uids=deterministic_uids,
            keep_private=keep_private,
            planes=planes,
        )
    notes: tuple[str, ...] = ()
    if source is not None and source.irregular:
        volume, notes = _regular(volume, source)
    if kind == "zarr":
        if beside:
            raise ParameterError(f"{target}: no other files are written beside a zarr store.")
        with atomic_directory(target, overwrite=overwrite) as place:
            stored, clipped = _write_file(volume, place, kind, source, dtype, planes)
        return WriteReport(
            target, kind, str(stored), int(volume.array.size), clipped, (target,), notes
        )
    # The scan comes last: where it is, the files beside it are.
    files = (*beside, target)
    with atomic_files(files, overwrite=overwrite) as parts:
        for part, content in zip(parts, beside.values(), strict=False):
            part.write_bytes(content)
        stored, clipped = _write_file(volume, parts[-1], kind, source, dtype, planes)
    voxels = int(volume.array.size)
    return WriteReport(target, kind, str(stored), voxels, clipped, files, notes)


def _regular(volume: Volume, source: HeaderSource) -> tuple[Volume, tuple[str, ...]]:
    """The volume on a grid that one affine describes, and what that took."""
    from meddenoise.io.dicom.regular import on_regular_grid
    from meddenoise.io.dicom.source import DicomSource

    assert isinstance(source, DicomSource)  # no other format has irregular slices
    return on_regular_grid(volume, source)


def _write_file(
    volume: Volume,
    part: Path,
    kind: str,
    source: HeaderSource | None,
    dtype: str,
    planes: Planes | None,
) -> tuple[np.dtype, int]:
    """Write one file; the stored type and the number of clipped voxels."""
    storage = _storage(volume, kind, source, dtype)
    if kind == "nifti":
        from meddenoise.io.nifti import NiftiSource, write_nifti

        own = source if isinstance(source, NiftiSource) else None
        compress = part.name.lower().endswith(".gz")
        return storage.dtype, write_nifti(
            volume, part, source=own, storage=storage, compress=compress, planes=planes
        )
    if kind == "nrrd":
        from meddenoise.io.nrrd import NrrdSource, write_nrrd

        nrrd_source = source if isinstance(source, NrrdSource) else None
        return storage.dtype, write_nrrd(
            volume, part, source=nrrd_source, storage=storage, planes=planes
        )
    if kind == "metaimage":
        from meddenoise.io.metaimage import MetaSource, write_metaimage

        meta_source = source if isinstance(source, MetaSource) else None
        return storage.dtype, write_metaimage(
            volume, part, source=meta_source, storage=storage, planes=planes
        )
    if kind == "zarr":
        from meddenoise.io.ngff.reading import NgffSource
        from meddenoise.io.ngff.writing import write_ngff

        own_store = source if isinstance(source, NgffSource) else None
        return storage.dtype, write_ngff(
            volume, part, source=own_store, storage=storage, planes=planes
        )
    from meddenoise.io.raster import RasterSource, write_raster

    raster_source = source if isinstance(source, RasterSource) else None
    return storage.dtype, write_raster(volume, part, kind, source=raster_source, storage=storage)


def _storage(volume: Volume, kind: str, source: HeaderSource | None, dtype: str) -> Storage:
    floats = Storage(np.dtype(np.float32))
    if kind == "png":
        from meddenoise.io.raster import png_storage

        return png_storage(source.storage if source is not None else None, volume.array)
    if dtype == "float32":
        return floats
    if source is None:
        return Storage(volume.array.dtype)
    if source.storage is None:  # the scale varies from slice to slice
        return floats
    if source.storage.dtype == np.float16 and kind != "zarr":  # nowhere else
        return floats
    if kind != "nifti":
        return source.storage.without_scale()
    if source.format == "nifti":
        return source.storage
    # NIfTI-1 keeps the scale in single precision: encode with what will be read again.
    with np.errstate(over="ignore"):
        scale = np.array([source.storage.slope, source.storage.intercept]).astype(np.float32)
    if scale[0] == 0 or not np.isfinite(scale).all():
        return Storage(source.storage.working_dtype)
    return Storage(source.storage.dtype, float(scale[0]), float(scale[1]))
