"""What a denoiser took away, as a scan beside the result: ``meddenoise denoise --keep-noise``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import InputError
from meddenoise.io import WriteReport, read, write_report
from meddenoise.io.ahead import ahead, behind
from meddenoise.io.parts import Taken
from meddenoise.io.planes import open_planes
from meddenoise.volume import Volume
from meddenoise.workflows.batch import Outcome
from meddenoise.workflows.places import Job, check_place
from meddenoise.workflows.streamed import open_large

__all__ = ["check_places", "keep_noise"]

_NOTE = "what denoising took away"


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
        report = _streamed(job, Path(outcome.output), overwrite=overwrite)
        if report is None:
            report = _whole(job, Path(outcome.output), overwrite=overwrite)
    except InputError as fault:
        return replace(outcome, error=f"{outcome.output} is written, but not its noise: {fault}")
    return replace(outcome, notes=(*outcome.notes, f"What was taken away is in {report.path}."))


def _whole(job: Job, output: Path, *, overwrite: bool) -> WriteReport:
    noisy = read(job.scan.path, series=job.scan.series)
    target, clean = job.target_for(noisy), read(output)
    change = _change(noisy.array, noisy.valid, clean.array)
    residual = replace(noisy, padding=None).with_array(change, note=_NOTE)
    return write_report(residual, target, overwrite=overwrite, dtype=_dtype(noisy, target))


def _streamed(job: Job, output: Path, *, overwrite: bool) -> WriteReport | None:
    """Plane by plane, if scan and result are large and can be read so."""
    found = open_large(job)
    clean = None if found is None else open_planes(output)
    if found is None or clean is None:
        return None
    noisy, target = found

    def planes() -> Iterator[NDArray[np.floating]]:
        for channel in range(noisy.head.channels):
            results = Taken(ahead(clean.planes(channel)))
            for part, measured in noisy.originals(channel):
                yield _change(part, measured, results.next(part.shape[2]))

    head = noisy.head.with_array(noisy.head.array, note=_NOTE)
    return behind(
        lambda parts: write_report(
            head, target, planes=parts, overwrite=overwrite, dtype=_dtype(head, target)
        ),
        planes(),
    )


def _change(
    noisy: NDArray[np.floating], measured: NDArray[np.bool_], clean: NDArray[np.floating]
) -> NDArray[np.floating]:
    """What is no number is none in the residual either: nothing was taken there."""
    with np.errstate(invalid="ignore"):
        return np.where(measured, noisy - clean, 0).astype(noisy.dtype)


def _dtype(noisy: Volume, target: Path) -> str:
    dicom = getattr(noisy.source, "format", "") == "dicom" and target.suffix == ""
    return "same" if dicom else "float32"
