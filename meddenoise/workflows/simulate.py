"""Writes a noisy copy of a scan."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from meddenoise.io import read, write
from meddenoise.noise import build_noise, simulate
from meddenoise.volume import Volume

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
        output: where the noisy copy goes.
        noise: ``"gaussian"``, ``"rician"``, ``"poisson"`` or a registered one.
        seed: the same seed gives the same noise.
        series: which DICOM series, where a directory holds several.
        overwrite: replace an existing output.
        parameters: of the noise: ``sigma="10%"``, ``dose=0.25``, ...

    Returns:
        Where it was written, and the noisy volume.
    """
    model = build_noise(noise, **parameters)
    noisy = simulate(read(source, series=series), model, seed=seed)
    return write(noisy, output, overwrite=overwrite, dtype="float32"), noisy
