"""What a scan or a model file is, as plain values."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from meddenoise.errors import (
    AmbiguousInput,
    FileError,
    GeometryError,
    InputError,
    OutputError,
    ParameterError,
)
from meddenoise.io import ScanFile, describe, list_scans, read, write
from meddenoise.io.describing import describe_volume
from meddenoise.io.formats import format_of_name
from meddenoise.io.named import path_of
from meddenoise.noise.estimation import estimate
from meddenoise.volume import Volume
from meddenoise.workflows.places import check_place
from meddenoise.workflows.units import checked_units, hint_of_units

__all__ = ["info"]


def info(
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    units: str | None = None,
    noise_map: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Geometry, units, value range and estimated noise of a scan; or a model's description.

    Args:
        path: a scan, a directory of scans, a DICOMDIR, or a model file.
        series: which DICOM series, where a directory holds several.
        units: ``"HU"`` for CT in a format without a place for it: its noise is then estimated in
            soft tissue. Where nothing is said and a scan looks like that, the advice says so.
        noise_map: where to write the local sigma of one scan, as float32 on its grid:
            ``.nii.gz``, ``.nrrd``, ``.mha``, or ``.tif`` for a picture.
        overwrite: whether the map may replace an existing file.

    Returns:
        For a model, what :func:`meddenoise.inference.read_model_info` gives, under ``"model"``.
        For one scan, what :func:`meddenoise.io.describe` gives, and under ``"noise"`` what
        :meth:`meddenoise.noise.NoiseEstimate.as_dict` gives, with its ``"units"`` and the
        ``"map"``'s file; ``{"sigma": None, "reason": ...}`` where nothing can be estimated. For
        several, ``{"scans": [...]}`` without the noise; one that cannot be read says so under
        ``"error"``.

    Raises:
        FileError: nothing is there, or nothing that is a scan.
        ModelError: a damaged model file.
        ParameterError: an option that says nothing of what is there.
        InputError: a map of what is not one scan on a regular grid, or whose noise cannot be
            estimated, or that cannot be written; units that the header contradicts.
    """
    said = checked_units(units)
    place = path_of(path)
    target = None if noise_map is None else path_of(noise_map)
    if overwrite and target is None:
        raise ParameterError("--overwrite is for --noise-map: say it as well, or leave this out.")
    if place.suffix.lower() == ".safetensors":
        from meddenoise.hashing import file_hash
        from meddenoise.inference.model_file import read_model_info

        if target is not None:
            raise ParameterError(f"{place} is a model, and a map of noise is made of a scan.")
        for option, value in (("--series", series), ("--units", units)):
            if value is not None:
                raise ParameterError(
                    f"{place} is a model, and {option} is for a scan: leave it out."
                )
        return {"model": read_model_info(place), "hash": file_hash(place)}
    if series is None and place.exists():
        scans = list_scans(place)
        if not scans:
            raise FileError(
                f"There is no scan in {place}: it needs DICOM, NIfTI, NRRD, MHA, zarr or images."
            )
        if len(scans) > 1 and target is not None:
            raise AmbiguousInput(
                f"{place} holds {len(scans)} scans: name the one that a map of noise is wanted of."
            )
        if len(scans) > 1 and said:
            raise ParameterError(
                f"{place} holds {len(scans)} scans, whose noise is not estimated, so that --units "
                "says nothing: name one of them, or leave it out."
            )
        if len(scans) > 1:
            return {"scans": [_listed(scan) for scan in scans]}
    if target is not None:
        _check_map(place, target, overwrite=overwrite)
    volume = read(place, series=series)
    volume = volume.in_units(said) if said else volume
    told = {"path": str(place), **describe_volume(volume)}
    if target is not None and told.get("irregular"):
        raise GeometryError(
            f"{place} is no regular upright grid ({' '.join(told['irregular'])}), so that a map "
            "has none to lie on: bring the scan to a regular one first (denoise --method identity "
            "--allow-irregular)."
        )
    return told | {"noise": _noise(volume, target, overwrite=overwrite)}


def _listed(scan: ScanFile) -> dict[str, Any]:
    """One of several scans; one that cannot be read does not hide the others."""
    path = {"path": str(scan.path)}
    try:
        return {**path, **describe(scan.path, series=scan.series)}
    except InputError as fault:
        return {**path, "error": str(fault)}


def _noise(volume: Volume, target: Path | None, *, overwrite: bool) -> dict[str, Any]:
    """The noise, and its map if that is wanted; ``None`` with a reason where it cannot be told."""
    try:
        noise = estimate(volume, with_map=target is not None)
    except ParameterError as fault:
        if target is not None:
            raise
        return {"sigma": None, "reason": str(fault)}
    if noise.no_map:
        raise ParameterError(f"{noise.no_map} Leave the map out.")
    told = {**noise.as_dict(), "units": volume.units}
    hint = hint_of_units(volume)
    if hint:
        told["advice"] = f"{told['advice']} {hint}"
    if target is None or noise.map is None:
        return told
    local = replace(
        volume,
        array=noise.map[None],
        padding=None,
        history=(*volume.history, "meddenoise: the local standard deviation of the noise"),
    )
    return told | {"map": str(write(local, target, overwrite=overwrite, dtype="float32"))}


def _check_map(place: Path, target: Path, *, overwrite: bool) -> None:
    """Say what is in the way before the scan is read.

    Raises:
        OutputError: a format without floats, or :func:`check_place`'s reasons.
    """
    kind, suffix = format_of_name(target)
    if kind not in ("nifti", "nrrd", "metaimage", "tiff"):
        raise OutputError(
            f"{target}: a map of noise holds fractions on the scan's grid, and {suffix!r} is no "
            "format for that. Use .nii.gz, .nrrd, .mha, or .tif for a picture."
        )
    check_place(place, target, overwrite=overwrite)
