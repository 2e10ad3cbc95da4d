"""Denoises scans that are planned: each read, denoised and written, with an outcome for each."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from meddenoise.errors import FileError, InputError, OutputError
from meddenoise.io import Sidecars, WriteReport, carry_sidecars, read, write_report
from meddenoise.io.sidecars import sidecars_beside
from meddenoise.volume import Volume
from meddenoise.workflows.places import Job, check_place
from meddenoise.workflows.streamed import open_large, write_streamed
from meddenoise.workflows.ways import Progress, Way, way_to_denoise

__all__ = ["Batch", "Outcome", "Progress", "Way", "check_contents", "way_to_denoise"]


@dataclass(frozen=True)
class Outcome:
    """What became of one scan.

    Attributes:
        input: where it was read.
        output: where the result is; ``None`` if it failed, or was passed over.
        seconds: reading, denoising and writing.
        voxels: in all channels.
        untouched: voxels put back as they were: not finite, or padding.
        clipped: voxels beyond what the format's integers hold.
        notes: what the reader, the model and the writer had to say, or why it was passed over.
        error: why there is no result, or ``None``.
    """

    input: str
    output: str | None
    seconds: float
    voxels: int = 0
    untouched: int = 0
    clipped: int = 0
    notes: tuple[str, ...] = ()
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "notes": list(self.notes)}


def _carried(job: Job, volume: Volume, target: Path) -> Sidecars:
    return carry_sidecars(volume, target)


@dataclass(frozen=True)
class Batch:
    """How every scan of one call is treated.

    Attributes:
        way: how it is denoised.
        overwrite: replace existing outputs (never inputs).
        writing: what else :func:`meddenoise.io.write` takes.
        sidecars: what is written beside the result of a job; by default what lies beside its scan.
    """

    way: Way
    overwrite: bool = False
    writing: dict[str, Any] = field(default_factory=dict)
    sidecars: Callable[[Job, Volume, Path], Sidecars] = _carried

    def all(self, jobs: Sequence[Job], progress: Progress | None = None) -> list[Outcome]:
        """One outcome a job; one that fails does not stop the others."""
        outcomes: list[Outcome] = []
        kept = {
            os.path.realpath(path)
            for job in jobs
            for path in (job.scan.path, *sidecars_beside(job.scan.path))
        }
        for number, job in enumerate(jobs):
            began = time.perf_counter()
            made = {outcome.output for outcome in outcomes}
            try:
                share = _part(progress, number, len(jobs))
                outcomes.append(self.one(job, share, made=made, inputs=kept))
            except InputError as fault:
                spent = time.perf_counter() - began
                outcomes.append(Outcome(str(job.scan.path), None, spent, error=str(fault)))
        return outcomes

    def one(
        self,
        job: Job,
        progress: Progress | None = None,
        *,
        made: Collection[str | None] = (),
        inputs: Collection[str] = (),
    ) -> Outcome:
        """Denoise one scan.

        Args:
            job: the scan and its place.
            progress: called with the finished fraction.
            made: the outputs of this call, which are not replaced.
            inputs: the real paths of all that this call reads, which is not replaced either.

        Raises:
            InputError: it cannot be read, denoised or written; nothing is left behind.
        """
        began = time.perf_counter()
        check_place(job.scan.path, job.target, overwrite=self.overwrite)
        large = None if self.way.stream is None else open_large(job)
        volume = read(job.scan.path, series=job.scan.series) if large is None else large[0].head
        target = job.target_for(volume)
        sidecars = self.sidecars(job, volume, target)
        for place in (target, *sidecars.files):
            check_place(job.scan.path, place, overwrite=self.overwrite)
            if os.path.realpath(place) in inputs:
                raise OutputError(f"{place} is another input, and inputs are never overwritten.")
        if str(target) in made:
            raise OutputError(f"{target} is the result of another scan of the same name already.")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", category=UserWarning, module=r"meddenoise\.")
            if large is not None and self.way.stream is not None:
                report, untouched = write_streamed(
                    self.way.stream, large[0], target, sidecars, progress=progress,
                    overwrite=self.overwrite, **self.writing,
                )  # fmt: skip
            else:
                check_contents(volume, str(job.scan.path))
                denoised = self.way.run(volume, progress)
                untouched = int(volume.array.size - np.count_nonzero(volume.valid))
                report = write_report(
                    denoised, target, overwrite=self.overwrite, beside=sidecars.files,
                    **self.writing,
                )  # fmt: skip
        heard = (*_oddities(volume), *(str(w.message) for w in said), *_written(report))
        return Outcome(
            input=str(job.scan.path),
            output=str(report.path),
            seconds=time.perf_counter() - began,
            voxels=volume.array.size,
            untouched=untouched,
            clipped=report.clipped,
            notes=(*heard, *sidecars.notes),
        )


def check_contents(volume: Volume, name: str) -> None:
    """Raise for a scan in which there is nothing: it is the wrong file, or a damaged one.

    Raises:
        FileError: no finite voxel, or a constant image.
    """
    valid = volume.valid
    values = volume.array if valid.all() else volume.array[valid]
    if values.size == 0:
        raise FileError(f"There is nothing to denoise in {name}: no voxel is finite.")
    low, high = values.min(), values.max()
    if low == high:
        raise FileError(
            f"There is nothing to denoise in {name}: it is constant, {low:g} everywhere."
        )


def _oddities(volume: Volume) -> tuple[str, ...]:
    """What is unusual about the scan's header."""
    return tuple(getattr(volume.source, "oddities", ()))


def _written(report: WriteReport) -> tuple[str, ...]:
    """What there is to say about the result's file."""
    if not report.clipped:
        return report.notes
    lost = (
        f"{report.clipped:,} of {report.voxels:,} voxels lay beyond what {report.dtype} holds and "
        "were clipped."
    )
    return (*report.notes, lost)


def _part(progress: Progress | None, number: int, count: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done: progress((number + done) / count)
