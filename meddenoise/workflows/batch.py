"""Denoises scans that are planned: each read, denoised and written, with an outcome for each."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from meddenoise.errors import FileError, InputError, OutputError, ParameterError
from meddenoise.filters import apply_filter
from meddenoise.io import Sidecars, WriteReport, carry_sidecars, read, write_report
from meddenoise.io.sidecars import sidecars_beside
from meddenoise.volume import Volume
from meddenoise.workflows.places import Job, check_place

if TYPE_CHECKING:
    from meddenoise.inference import Denoiser

__all__ = ["Batch", "Outcome", "Progress", "Way", "check_contents", "way_to_denoise"]

Progress = Callable[[float], None]


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


@dataclass(frozen=True)
class Way:
    """How scans are denoised.

    Attributes:
        name: for people: the method, or the model file and its hash.
        run: a noisy volume to a denoised one.
    """

    name: str
    run: Callable[[Volume, Progress | None], Volume]


def way_to_denoise(
    model: str | os.PathLike[str] | None,
    method: str | None,
    device: str,
    *,
    options: Mapping[str, Any] | None = None,
    sigma: str | float | None = None,
) -> Way:
    """By a model file or by a filter.

    Args:
        model: a model file, or
        method: the name of a filter.
        device: for a model.
        options: the filter's.
        sigma: the noise's standard deviation in image units, or ``"10%"`` of each scan's 99.9th
            percentile; for a filter, or a model with a noise map.

    Raises:
        ParameterError: not exactly one of the two, options for a model, a sigma for a model without
            a noise map, or an impossible sigma.
        ConfigError: no such filter or option.
        ModelError: the model file cannot be used.
    """
    if (model is None) == (method is None):
        raise ParameterError(
            "Say how to denoise: either --model FILE (from 'meddenoise train') or --method NAME."
        )
    level = _level(sigma)
    if method is not None:
        return _by_filter(method, dict(options or {}), level)
    if options:
        raise ParameterError("--set is for --method: a model has learnt its own.")
    from meddenoise.inference import Denoiser

    assert model is not None
    denoiser = Denoiser.load(Path(model).expanduser(), device=device)
    if sigma is not None and not denoiser.noise_map:
        raise ParameterError(
            f"--sigma is for --method, or for a model with a noise map, which {model} has not."
        )

    def by_model(volume: Volume, progress: Progress | None) -> Volume:
        _compare_kinds(denoiser, volume)
        return denoiser(volume, sigma=level(volume), progress=progress)

    return Way(denoiser.name, by_model)


def _level(sigma: str | float | None) -> Callable[[Volume], float | None]:
    """What a level is in a scan's own units; an impossible one is said before anything is read."""
    from meddenoise.noise.level import parse_level, reference_intensity

    level = None if sigma is None else parse_level(sigma)
    if level is not None and level.is_range:
        raise ParameterError(f"--sigma {level} is a range: a scan has one noise level.")

    def of(volume: Volume) -> float | None:
        if level is None:
            return None
        return level.draw(0.0, reference_intensity(volume.array[volume.valid]))

    return of


def _by_filter(name: str, options: dict[str, Any], level: Callable[[Volume], float | None]) -> Way:
    """Wrong names and options are said before anything is read."""
    from meddenoise.filters.registry import checked_options

    checked_options(name, options)

    def run(volume: Volume, progress: Progress | None) -> Volume:
        return apply_filter(volume, name, sigma_noise=level(volume), **options)

    return Way(name, run)


def _compare_kinds(denoiser: Denoiser, volume: Volume) -> None:
    """Warn of a scan that is not what the model was trained on; where unknown, say nothing."""
    learned = denoiser.info.get("data", {})
    for what in ("modality", "units"):
        theirs, ours = learned.get(what) or "", getattr(volume, what)
        if theirs and ours and theirs != ours:
            warnings.warn(
                f"The model was trained on scans whose {what} is {theirs}, and this one's is "
                f"{ours}: the result may be wrong.",
                stacklevel=3,
            )


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
        volume = read(job.scan.path, series=job.scan.series)
        target = job.target_for(volume)
        sidecars = self.sidecars(job, volume, target)
        for place in (target, *sidecars.files):
            check_place(job.scan.path, place, overwrite=self.overwrite)
            if os.path.realpath(place) in inputs:
                raise OutputError(f"{place} is another input, and inputs are never overwritten.")
        if str(target) in made:
            raise OutputError(f"{target} is the result of another scan of the same name already.")
        check_contents(volume, str(job.scan.path))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", category=UserWarning, module=r"meddenoise\.")
            denoised = self.way.run(volume, progress)
        report = write_report(
            denoised, target, overwrite=self.overwrite, beside=sidecars.files, **self.writing
        )
        heard = (*_oddities(volume), *(str(w.message) for w in said), *_written(report))
        return Outcome(
            input=str(job.scan.path),
            output=str(report.path),
            seconds=time.perf_counter() - began,
            voxels=volume.array.size,
            untouched=int(volume.array.size - np.count_nonzero(volume.valid)),
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
