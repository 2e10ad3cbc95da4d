"""Writes a noisy copy of a scan."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from meddenoise.errors import AmbiguousInput
from meddenoise.io import read, write
from meddenoise.noise import build_noise, simulate
from meddenoise.volume import Volume
from meddenoise.workflows.places import check_place, plan

__all__ = ["simulate_file"]


def simulate_file(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    noise: str,
    seed: int = 0,
    series: str | None = None,
    overwrite: bool = False,
    **parameters: Any,
) -> tuple[Path, Volume]:
    """Add noise to a scan once, and write it in its own format.

    Floats are written where the format has them, so that noise below the smallest value of an
    integer type is not clipped away; DICOM keeps its integers.

    Args:
        source: what :func:`meddenoise.read` takes.
        output: where the noisy copy goes: a file, or a directory (the copy then keeps its name).
        noise: ``"gaussian"``, ``"rician"``, ``"poisson"`` or a registered one.
        seed: the same seed gives the same noise.
        series: which DICOM series, where a directory holds several.
        overwrite: replace an existing output.
        parameters: of the noise: ``sigma="10%"``, ``dose=0.25``, ...

    Returns:
        Where it was written, and the noisy volume.

    Raises:
        InputError: several scans, an impossible noise, or an output that is in the way.
    """
    model = build_noise(noise, **parameters)
    jobs = plan(source, output, series=series)
    if len(jobs) > 1:
        names = ", ".join(str(job.scan.relative) for job in jobs[:5])
        raise AmbiguousInput(f"{source} holds {len(jobs)} scans: name one of {names}.")
    job = jobs[0]
    check_place(job.scan.path, job.target, overwrite=overwrite)
    noisy = simulate(read(job.scan.path, series=job.scan.series), model, seed=seed)
    written = write(
        noisy,
        job.target_for(noisy),
        overwrite=overwrite,
        dtype="float32",
        derivation="noise simulation",
    )
    return written, noisy
