"""Writes a noisy copy of a scan."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from meddenoise.errors import AmbiguousInput
from meddenoise.io import carry_sidecars, read, write_report
from meddenoise.io.named import path_of
from meddenoise.noise import build_noise, simulate
from meddenoise.noise.registry import NOISES
from meddenoise.volume import Volume
from meddenoise.workflows.places import check_place, plan
from meddenoise.workflows.units import checked_units

__all__ = ["simulate_file"]


def simulate_file(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    noise: str,
    seed: int = 0,
    series: str | None = None,
    units: str | None = None,
    overwrite: bool = False,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[Path, Volume]:
    """Add noise to a scan once, and write it in its own format.

    Floats are written where the format has them, so that noise below the smallest value of an
    integer type is not clipped away; DICOM keeps its integers. Of a NIfTI, the ``.json``, ``.bval``
    and ``.bvec`` beside it are carried along to the copy's name.

    Args:
        source: what :func:`meddenoise.read` takes.
        output: where the noisy copy goes: a file, or a directory (the copy then keeps its name).
        noise: one of :func:`meddenoise.noise.noise_names`.
        seed: the same seed gives the same noise.
        series: which DICOM series, where a directory holds several.
        units: what the voxels are in (``"HU"``), where the header has no place for it.
        overwrite: replace an existing output.
        parameters: of the noise: ``{"sigma": "10%"}``, ``{"dose": 0.25}``, ...; for a map, a file
            on the scan's grid.

    Returns:
        Where it was written, and the noisy volume.

    Raises:
        InputError: several scans, an impossible noise, units that the header contradicts, a map
            on another grid, or an output that is in the way.
    """
    said, parameters = checked_units(units), dict(parameters or {})
    maps = {
        name: read(parameters[name])
        for name in NOISES.maps(noise)
        if isinstance(parameters.get(name), (str, os.PathLike))
    }
    arrays = {name: volume.array[0] for name, volume in maps.items()}
    model = build_noise(noise, **{**parameters, **arrays})
    jobs = plan(source, output, series=series)
    if len(jobs) > 1:
        names = ", ".join(str(job.scan.relative) for job in jobs[:5])
        raise AmbiguousInput(f"{source} holds {len(jobs)} scans: name one of {names}.")
    job = jobs[0]
    check_place(job.scan.path, job.target, overwrite=overwrite)
    for name in maps:  # inputs as well
        check_place(path_of(parameters[name]), job.likely, overwrite=overwrite)
    volume = read(job.scan.path, series=job.scan.series)
    for name, one in maps.items():
        first = replace(volume, array=volume.array[:1], padding=None)
        first.check_same_grid(one, names=(str(job.scan.path), f"{name}, {parameters[name]},"))
    noisy = simulate(volume.in_units(said) if said else volume, model, seed=seed)
    target = job.target_for(noisy)
    report = write_report(
        noisy,
        target,
        overwrite=overwrite,
        dtype="float32",
        derivation="noise simulation",
        beside=carry_sidecars(noisy, target).files,
    )
    report.warn_if_clipped()
    return report.path, noisy
