"""``read``: any scan to a Volume, by what the file is rather than what it is called."""

from __future__ import annotations

import os
from pathlib import Path

from meddenoise.errors import AmbiguousInput, FileError
from meddenoise.io.formats import (
    RASTER_FORMATS,
    dicom_among,
    format_of_name,
    is_store,
    not_a_scan,
    sniff,
)
from meddenoise.io.named import path_of
from meddenoise.io.scans import visible_files
from meddenoise.volume import Volume

__all__ = ["read"]


def read(path: str | os.PathLike[str], *, series: str | None = None) -> Volume:
    """Read a scan.

    Args:
        path: a DICOM directory (searched through), one file of a DICOM series (the whole
            series in that directory is read), NIfTI, NRRD, MetaImage, an OME-NGFF image in a zarr
            store, or a grey PNG, TIFF or JPEG. The format is told by the content.
        series: which DICOM series where there are several: its SeriesInstanceUID, number or
            description.

    Returns:
        A volume of shape ``(C, X, Y, Z)``, or ``(C, X, Y)`` for rasters; float32, or float64
        where float32 would lose digits; in the header's units (HU for CT).

    Raises:
        FileError: missing, damaged, or nothing that holds grey intensities.
        AmbiguousInput: several scans where one was asked for.
        GeometryError: the header puts the voxels nowhere (singular affine).
    """
    place = path_of(path)
    if place.is_dir():
        return _read_store(place, series) if is_store(place) else _read_directory(place, series)
    if not place.exists():
        raise FileError(f"{place}: no such file or directory.")
    if not place.is_file():
        raise FileError(f"{place} is neither a file nor a directory.")
    try:
        kind = sniff(place)
        if kind != "dicom" and series is not None:
            raise FileError(f"{place} is not DICOM, so there is no series {series!r} in it.")
        return _read_file(place, kind, series)
    except OSError as error:
        raise FileError(f"{place} cannot be read: {error.strerror or error}.") from error


def _read_store(place: Path, series: str | None) -> Volume:
    from meddenoise.io.ngff.reading import read_ngff

    if series is not None:
        raise FileError(f"{place} is not DICOM, so there is no series {series!r} in it.")
    try:
        return read_ngff(place)
    except OSError as error:
        raise FileError(f"{place} cannot be read: {error.strerror or error}.") from error


def _read_directory(place: Path, series: str | None) -> Volume:
    from meddenoise.io.dicom.reading import read_series

    try:
        files = list(visible_files(place))
        kinds = {path: "zarr" if path.is_dir() else sniff(path) for path in files}
    except OSError as error:
        at_fault = error.filename or place  # a file in it, such as a link that leads nowhere
        raise FileError(f"{at_fault} cannot be read: {error.strerror or error}.") from error
    if "dicom" in kinds.values():
        return read_series(dicom_among(kinds), place, series=series)
    others = [
        path for path in files if format_of_name(path)[0] is not None or kinds[path] == "zarr"
    ]
    if not others:
        raise FileError(f"{place} holds no scan: no DICOM file, nor any other format read here.")
    if len(others) == 1:
        return read(others[0], series=series)
    names = ", ".join(str(path.relative_to(place)) for path in others[:5])
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    raise AmbiguousInput(f"{place} holds {len(others)} scans: name one of {names}{more}.")


def _read_file(place: Path, kind: str | None, series: str | None) -> Volume:
    if kind == "dicom":
        from meddenoise.io.dicom.reading import read_series_of

        return read_series_of(place, series=series)
    if kind == "nifti":
        from meddenoise.io.nifti import read_nifti

        return read_nifti(place)
    if kind == "nrrd":
        from meddenoise.io.nrrd import read_nrrd

        return read_nrrd(place)
    if kind == "metaimage":
        from meddenoise.io.metaimage import read_metaimage

        return read_metaimage(place)
    if kind in RASTER_FORMATS:
        from meddenoise.io.raster import read_raster

        return read_raster(place, kind)
    raise not_a_scan(place, kind)
