"""What a denoiser took away, as a scan beside the result: ``meddenoise denoise --keep-noise``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from meddenoise.errors import InputError
from meddenoise.io import read, write_report
from meddenoise.workflows.batch import Outcome
from meddenoise.workflows.places import Job, check_place

__all__ = ["check_places", "keep_noise"]


def check_places(jobs: Sequence[Job], *, overwrite: bool) -> None:
    """Raise where a residual cannot go, before anything is denoised.

    Raises:
        OutputError: something is in the way.
    """
    for job in jobs:
        check_place(job.scan.path, job.target, overwrite=overwrite)


def keep_noise(
    jobs: Sequence[Job], outcomes: Sequence[Outcome], *, overwrite: bool
) -> list[Outcome]:
    """Write input minus result for every scan that was denoised.

    The difference is of the files, so that it is what changed for whoever reads them. It is in the
    scan's units, in floats where the format has them.

    Args:
        jobs: where each residual goes.
        outcomes: of the same scans, in the same order.
        overwrite: replace existing files.

    Returns:
        The outcomes, with the residual's place among the notes, or an error.
    """
    return [
        outcome if outcome.output is None else _kept(job, outcome, overwrite=overwrite)
        for job, outcome in zip(jobs, outcomes, strict=True)
    ]


def _kept(job: Job, outcome: Outcome, *, overwrite: bool) -> Outcome:
    assert outcome.output is not None  # the caller asked
    try:
        noisy = read(job.scan.path, series=job.scan.series)
        clean = read(outcome.output)
        target = job.target_for(noisy)
        # What is no number is none in the residual either: nothing was taken there.
        change = np.where(noisy.valid, noisy.array - clean.array, 0).astype(noisy.array.dtype)
        residual = replace(noisy, array=change, padding=None).with_array(
            change, note="what denoising took away"
        )
        dicom = getattr(noisy.source, "format", "") == "dicom" and target.suffix == ""
        report = write_report(
            residual, target, overwrite=overwrite, dtype="same" if dicom else "float32"
        )
    except InputError as fault:
        return replace(outcome, error=f"{outcome.output} is written, but not its noise: {fault}")
    return replace(outcome, notes=(*outcome.notes, f"What was taken away is in {report.path}."))
