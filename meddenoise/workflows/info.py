"""What a scan or a model file is, as plain values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from meddenoise.errors import FileError, InputError, ParameterError
from meddenoise.io import ScanFile, describe, list_scans, read
from meddenoise.io.describing import describe_volume
from meddenoise.noise.wavelet_mad import estimate_sigma
from meddenoise.volume import Volume

__all__ = ["info"]


def info(path: str | os.PathLike[str], *, series: str | None = None) -> dict[str, Any]:
    """Geometry, units, value range and estimated noise of a scan; or a model's description.

    Args:
        path: a scan, a directory of scans, or a model file.
        series: which DICOM series, where a directory holds several.

    Returns:
        For a model, what :func:`meddenoise.inference.read_model_info` gives, under ``"model"``.
        For one scan, what :func:`meddenoise.io.describe` gives, with ``"noise": {"sigma": ...}``
        in the scan's units. For several, ``{"scans": [...]}`` without the noise; one that
        cannot be read says so under ``"error"``.

    Raises:
        FileError: nothing is there, or nothing that is a scan.
        ModelError: a damaged model file.
    """
    place = Path(path).expanduser()
    if place.suffix.lower() == ".safetensors":
        from meddenoise.inference.model_file import file_hash, read_model_info

        return {"model": read_model_info(place), "hash": file_hash(place)}
    if place.is_dir() and series is None:
        scans = list_scans(place)
        if not scans:
            raise FileError(
                f"There is no scan in {place}: it needs DICOM, NIfTI, NRRD, MHA or images."
            )
        if len(scans) > 1:
            return {"scans": [_listed(scan) for scan in scans]}
    volume = read(place, series=series)
    return {"path": str(place), **describe_volume(volume), "noise": _noise(volume)}


def _listed(scan: ScanFile) -> dict[str, Any]:
    """One of several scans; one that cannot be read does not hide the others."""
    path = {"path": str(scan.path)}
    try:
        return {**path, **describe(scan.path, series=scan.series)}
    except InputError as fault:
        return {**path, "error": str(fault)}


def _noise(volume: Volume) -> dict[str, Any]:
    """The noise of the first channel; ``None`` with a reason where it cannot be told."""
    values, valid = volume.array[0], volume.valid[0]
    inside = values[valid]
    if inside.size == 0:
        return {"sigma": None, "reason": "the image has no finite voxel"}
    if np.ptp(inside) == 0:
        return {"sigma": None, "reason": "the image is constant"}
    try:
        sigma = estimate_sigma(values, mask=None if valid.all() else valid)
    except ParameterError as fault:  # too small, or nearly all background
        return {"sigma": None, "reason": str(fault)}
    return {"sigma": sigma, "units": volume.units, "method": "wavelet MAD"}
