"""Opens scans to be read plane by plane, so that one need not fit into the memory."""

from __future__ import annotations

from pathlib import Path

from meddenoise.errors import FileError
from meddenoise.io.formats import is_store, sniff
from meddenoise.io.plane_scan import PlaneScan

__all__ = ["open_planes"]


def open_planes(path: Path, *, series: str | None = None, at_least: int = 0) -> PlaneScan | None:
    """A scan that can be read plane by plane; ``None`` for one that can only be read as a whole.

    NIfTI and NRRD, compressed or not, uncompressed MetaImage, each in one file; OME-NGFF; and a
    DICOM series of one slice a file.

    Args:
        path: a file, a DICOM directory, or a zarr store.
        series: which DICOM series, as for :func:`meddenoise.read`.
        at_least: a scan with fewer voxels will not be streamed anyway, so ``None`` is as good.

    Raises:
        FileError, AmbiguousInput, GeometryError: the header is damaged, or there are several.
    """
    if path.is_dir() and is_store(path):
        from meddenoise.io.ngff.reading import ngff_planes

        return ngff_planes(path) if series is None else None
    if path.is_dir():
        from meddenoise.io.dicom.planes import series_planes

        return series_planes(path, series=series, at_least=at_least)
    if not path.is_file():
        return None
    try:
        kind = sniff(path)
        if kind == "dicom":
            from meddenoise.io.dicom.planes import series_planes

            return series_planes(path, series=series, at_least=at_least)
        if series is not None:
            return None  # reading says what is wrong with that
        if kind == "nifti":
            from meddenoise.io.nifti import nifti_planes

            return nifti_planes(path)
        if kind == "nrrd":
            from meddenoise.io.nrrd import nrrd_planes

            return nrrd_planes(path)
        if kind == "metaimage":
            from meddenoise.io.metaimage import metaimage_planes

            return metaimage_planes(path)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error
    return None
