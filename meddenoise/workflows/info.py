"""What a scan or a model file is, as plain values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from meddenoise.errors import FileError
from meddenoise.io import describe, list_scans, read
from meddenoise.noise.estimate import estimate_sigma

__all__ = ["info"]


def info(path: str | os.PathLike[str], *, series: str | None = None) -> dict[str, Any]:
    """Geometry, units, value range and estimated noise of a scan; or a model's description.

    Args:
        path: a scan, a directory of scans, or a model file.
        series: which DICOM series, where a directory holds several.

    Returns:
        For a model, what :func:`meddenoise.inference.read_model_info` gives, under ``"model"``.
        For one scan, what :func:`meddenoise.io.describe` gives, with ``"noise": {"sigma": ...}``
        in the scan's units. For several, ``{"scans": [...]}``, geometry only.
    """
    place = Path(path)
    if place.suffix == ".safetensors":
        from meddenoise.inference.model_file import file_hash, read_model_info

        return {"model": read_model_info(place), "hash": file_hash(place)}
    if place.is_dir() and series is None:
        scans = list_scans(place)
        if not scans:
            raise FileError(
                f"There is no scan in {place}: it needs DICOM, NIfTI, NRRD, MHA or images."
            )
        if len(scans) > 1:
            return {"scans": [describe(scan.path, series=scan.series) for scan in scans]}
    return {**describe(place, series=series), "noise": _noise(place, series)}


def _noise(path: Path, series: str | None) -> dict[str, Any]:
    """The noise of the first channel; ``None`` with a reason where it cannot be told."""

    volume = read(path, series=series)
    values, valid = volume.array[0], volume.valid[0]
    inside = values[valid]
    if inside.size == 0 or np.ptp(inside) == 0:
        return {"sigma": None, "reason": "the image is constant"}
    sigma = estimate_sigma(values, mask=None if valid.all() else valid)
    return {"sigma": sigma, "units": volume.units, "method": "wavelet MAD"}
