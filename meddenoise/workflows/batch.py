"""Denoises scans that are planned: each read, denoised and written, with an outcome for each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from meddenoise.errors import FileError, InputError, OutputError
from meddenoise.free_memory import is_out_of_memory
from meddenoise.io import Sidecars, WriteReport, carry_sidecars, read, write_report
from meddenoise.io.ahead import ahead
from meddenoise.io.atomic import AlreadyThere
from meddenoise.io.plane_scan import PlaneScan
from meddenoise.io.quiet import hearing, threads_apart
from meddenoise.io.sidecars import sidecars_beside
from meddenoise.io.write_check import check_write
from meddenoise.volume import Volume
from meddenoise.workflows.places import Job, check_place, is_there
from meddenoise.workflows.streamed import by_planes, open_scan, write_streamed
from meddenoise.workflows.ways import Progress, Way, way_to_denoise
from meddenoise.workflows.whole import check_room, said_of_whole

__all__ = [
    "Batch",
    "Opened",
    "Outcome",
    "Progress",
    "Way",
    "check_contents",
    "inputs_of",
    "way_to_denoise",
]


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


def _as_it_is(job: Job, outcome: Outcome) -> Outcome:
    return outcome


@dataclass(frozen=True)
class Opened:
    """A scan that is ready to be denoised.

    Attributes:
        volume: the scan, without its voxels if it is too large for the memory.
        target: where its result goes.
        seconds: that reading it took.
        large: the scan to be read plane by plane, if it is.
        notes: what there is to say about that.
    """

    volume: Volume
    target: Path
    seconds: float
    large: PlaneScan | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """How every scan of one call is treated.

    Attributes:
        way: how it is denoised.
        overwrite: replace existing outputs (never inputs).
        writing: what else :func:`meddenoise.io.write` takes.
        sidecars: what is written beside the result of a job; by default what lies beside its scan.
        after: called when the result of a job is there, made or found; the outcome to be told.
    """

    way: Way
    overwrite: bool = False
    writing: dict[str, Any] = field(default_factory=dict)
    sidecars: Callable[[Job, Volume, Path], Sidecars] = _carried
    after: Callable[[Job, Outcome], Outcome] = _as_it_is

    def all(
        self,
        jobs: Sequence[Job],
        progress: Progress | None = None,
        *,
        inputs: Collection[str] | None = None,
    ) -> list[Outcome]:
        """One outcome a job; one that fails does not stop the others.

        The next scan is read while one is denoised. A scan whose result is there already is passed
        over, unless it is to be replaced.

        Args:
            jobs: the scans.
            progress: called with the finished fraction.
            inputs: the real paths that are not replaced, where others read scans as well; those of
                the jobs if ``None``.
        """
        outcomes: list[Outcome] = []
        kept = inputs_of(jobs) if inputs is None else inputs

        def opened() -> Iterator[Opened | Outcome]:
            for job in jobs:
                began = time.perf_counter()
                try:
                    yield self.finished(job, job.target, kept) or self.open(job)
                except Exception as fault:
                    yield _failed(job, fault, began)

        made: set[str | None] = set()
        with threads_apart(), closing(ahead(opened())) as scans:
            for number, job in enumerate(jobs):
                share = _part(progress, number, len(jobs))
                found = next(scans)  # zip would keep it until the next one
                if isinstance(found, Opened):
                    found = self.tried(job, found, share, made=made, inputs=kept)
                # Now that neither the scan nor its result is held any more.
                outcome = found if found.error is not None else self.after(job, found)
                outcomes.append(outcome)
                made.add(outcome.output)
                if share:
                    share(1.0)
        return outcomes

    def tried(
        self,
        job: Job,
        opened: Opened | None = None,
        progress: Progress | None = None,
        *,
        made: Collection[str | None] = (),
        inputs: Collection[str] = (),
    ) -> Outcome:
        """:meth:`one`, with a failure as an outcome, and what is there already passed over."""
        began = time.perf_counter()
        try:
            if opened is None:
                done = self.finished(job, job.target, inputs)
                if done is not None:
                    return done
                opened = self.open(job)
            if str(opened.target) not in made:
                done = self.finished(job, opened.target, inputs)
                if done is not None:
                    return done
            return self.one(job, progress, opened=opened, made=made, inputs=inputs)
        except AlreadyThere as fault:  # another process has made it in the meantime
            target = job.target if opened is None else opened.target
            try:
                return self.finished(job, target, inputs) or _failed(job, fault, began)
            except OutputError as of_another_study:
                return _failed(job, of_another_study, began)
        except Exception as fault:
            return _failed(job, fault, began)

    def finished(self, job: Job, target: Path, inputs: Collection[str]) -> Outcome | None:
        """That the result is there already; ``None`` if it is not, or is to be replaced.

        Raises:
            OutputError: what is there is of another study, whose series has the same number.
        """
        if self.overwrite or not is_there(target) or os.path.realpath(target) in inputs:
            return None
        if job.earlier is not None:
            return None  # it is the other's
        if job.scan.study and target.is_dir() and _study(target) not in ("", job.scan.study):
            raise OutputError(
                f"{target} is the result of another study, of a series of the same name: choose "
                "another output, or say --overwrite."
            )
        note = f"Passed over: {target} is there already; --overwrite does it again."
        return Outcome(str(job.scan.path), None, 0.0, notes=(note,))

    def open(self, job: Job) -> Opened:
        """The scan, read, or opened if it is too large to be read.

        Raises:
            InputError: it cannot be read, or its result's place is taken.
        """
        began = time.perf_counter()
        if job.earlier is not None:
            raise OutputError(
                f"{job.likely} is the result of another scan of the same name already, of "
                f"{job.earlier}: denoise the two into two directories."
            )
        check_place(job.scan.path, job.target, overwrite=self.overwrite)
        scan = open_scan(job)
        if scan is not None:
            large = None if self.way.stream is None else by_planes(scan, job)
            if large is not None:
                return Opened(large[0].head, large[1], time.perf_counter() - began, large[0])
            check_room(job, scan)
        volume = read(job.scan.path, series=job.scan.series)
        target, spent = job.target_for(volume), time.perf_counter() - began
        return Opened(volume, target, spent, notes=said_of_whole(volume))

    def one(
        self,
        job: Job,
        progress: Progress | None = None,
        *,
        opened: Opened | None = None,
        made: Collection[str | None] = (),
        inputs: Collection[str] = (),
    ) -> Outcome:
        """Denoise one scan.

        Args:
            job: the scan and its place.
            progress: called with the finished fraction.
            opened: from :meth:`open`, if that was done ahead.
            made: the outputs of this call, which are not replaced.
            inputs: the real paths of all that this call reads, which is not replaced either.

        Raises:
            InputError: it cannot be read, denoised or written; nothing is left behind.
        """
        began = time.perf_counter()
        if opened is None:
            opened = self.open(job)
        else:
            began -= opened.seconds
        volume, target, large = opened.volume, opened.target, opened.large
        sidecars = self.sidecars(job, volume, target)
        for place in (target, *sidecars.files):
            check_place(job.scan.path, place, overwrite=self.overwrite)
            if os.path.realpath(place) in inputs:
                raise OutputError(f"{place} is another input, and inputs are never overwritten.")
        if str(target) in made:
            raise OutputError(f"{target} is the result of another scan of the same name already.")
        check_write(volume, target, **self.writing)
        with hearing() as said:
            if large is not None and self.way.stream is not None:
                report, untouched = write_streamed(
                    self.way.stream, large, target, sidecars, progress=progress,
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
        told = dict.fromkeys(said)  # of every channel, or once
        heard = (*_oddities(volume), *opened.notes, *told, *_written(report))
        return Outcome(
            input=str(job.scan.path),
            output=str(report.path),
            seconds=time.perf_counter() - began,
            voxels=volume.array.size,
            untouched=untouched,
            clipped=report.clipped,
            notes=(*heard, *sidecars.notes),
        )


def _study(directory: Path) -> str:
    from meddenoise.io.dicom.listing import study_of  # imports pydicom

    return study_of(directory)


def _failed(job: Job, fault: Exception, began: float) -> Outcome:
    """What to tell of a scan that could not be denoised; raises what is no scan's fault."""
    if isinstance(fault, InputError):
        why = str(fault)
    elif is_out_of_memory(fault):
        why = f"There is not enough memory for {job.scan.path}: close what else needs it."
    else:
        raise fault
    return Outcome(str(job.scan.path), None, time.perf_counter() - began, error=why)


def inputs_of(jobs: Sequence[Job]) -> frozenset[str]:
    """The real paths of all that some jobs read, which no job may write to."""
    return frozenset(
        os.path.realpath(path)
        for job in jobs
        for path in (job.scan.path, *sidecars_beside(job.scan.path))
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
