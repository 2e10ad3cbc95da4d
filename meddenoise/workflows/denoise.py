"""A noisy scan in, a denoised one out, in its own format."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from meddenoise.errors import FileError, InputError, OutputError, ParameterError
from meddenoise.filters import apply_filter
from meddenoise.io import WriteReport, read, write_report
from meddenoise.volume import Volume
from meddenoise.workflows.places import Job, check_place, plan

if TYPE_CHECKING:
    from meddenoise.inference import Denoiser

__all__ = ["Outcome", "denoise", "denoise_files"]

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Outcome:
    """What became of one scan.

    Attributes:
        input: where it was read.
        output: where the result is; ``None`` if it failed.
        seconds: reading, denoising and writing.
        voxels: in all channels.
        untouched: voxels put back as they were: not finite, or padding.
        clipped: voxels beyond what the format's integers hold.
        notes: what the reader, the model and the writer had to say.
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


def denoise(
    scan: Volume | ArrayLike | str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    method: str | None = None,
    series: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Volume:
    """The denoised scan, in memory.

    Args:
        scan: a volume, an array ``(X, Y[, Z])``, or a path that :func:`meddenoise.read` takes.
        model: a model file, or
        method: the name of a filter (``"median"``, ``"gaussian"``, ``"identity"``).
        series: which DICOM series, where a directory holds several.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        progress: called with the finished fraction.

    Returns:
        The same grid, units and header; write it with :func:`meddenoise.write`.

    Raises:
        ParameterError: not exactly one of ``model`` and ``method``.
        InputError: the scan or the model cannot be used.
        FileError: a scan without a finite voxel, or a constant one.
    """
    if isinstance(scan, (str, os.PathLike)):
        volume = read(scan, series=series)
    elif isinstance(scan, Volume):
        volume = scan
    else:
        volume = Volume.from_array(np.asarray(scan))
    work = _worker(model, method, device)
    _check_contents(volume, os.fspath(scan) if isinstance(scan, (str, os.PathLike)) else "the scan")
    return work(volume, progress)


def denoise_files(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    method: str | None = None,
    series: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
    **writing: Any,
) -> list[Outcome]:
    """Denoise a scan, or every scan in a directory, into files of the same formats.

    Args:
        source: a scan, a DICOM directory, a directory of scans, or a glob.
        output: a file for one scan; a directory for a DICOM series or for several scans, which
            get the names they have below ``source``.
        model: a model file, or
        method: the name of a filter.
        series: which DICOM series, where a directory holds several.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        overwrite: replace existing outputs (never inputs).
        progress: called with the finished fraction.
        writing: what else :func:`meddenoise.io.write` takes: ``dtype``, ``compress``, ...

    Returns:
        One outcome a scan. Of several scans, one that fails does not stop the others.

    Raises:
        InputError: nothing could be done: no such input, no such model, an output in the way.
    """
    work = _worker(model, method, device)
    jobs = plan(source, output, series=series)
    if len(jobs) == 1:
        return [_one(jobs[0], work, overwrite, writing, progress)]
    outcomes: list[Outcome] = []
    for number, job in enumerate(jobs):
        began = time.perf_counter()
        made = {outcome.output for outcome in outcomes}
        try:
            share = _part(progress, number, len(jobs))
            outcomes.append(_one(job, work, overwrite, writing, share, made))
        except InputError as fault:
            spent = time.perf_counter() - began
            outcomes.append(Outcome(str(job.scan.path), None, spent, error=str(fault)))
    return outcomes


def _worker(
    model: str | os.PathLike[str] | None, method: str | None, device: str
) -> Callable[[Volume, Progress | None], Volume]:
    """What turns a noisy volume into a denoised one."""
    if (model is None) == (method is None):
        raise ParameterError(
            "Say how to denoise: either --model FILE (from 'meddenoise train') or --method NAME."
        )
    if method is not None:
        from meddenoise.filters import get_filter

        get_filter(method)  # an unknown name is said before anything is read
        name = method
        return lambda volume, progress: apply_filter(volume, name)
    from meddenoise.inference import Denoiser

    assert model is not None
    denoiser = Denoiser.load(Path(model).expanduser(), device=device)

    def by_model(volume: Volume, progress: Progress | None) -> Volume:
        _compare_kinds(denoiser, volume)
        return denoiser(volume, progress=progress)

    return by_model


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


def _one(
    job: Job,
    work: Callable[[Volume, Progress | None], Volume],
    overwrite: bool,
    writing: dict[str, Any],
    progress: Progress | None,
    made: Collection[str | None] = (),
) -> Outcome:
    """Denoise one scan; ``made`` are the outputs of this call, which are not replaced."""
    began = time.perf_counter()
    check_place(job.scan.path, job.target, overwrite=overwrite)
    volume = read(job.scan.path, series=job.scan.series)
    target = job.target_for(volume)
    check_place(job.scan.path, target, overwrite=overwrite)
    if str(target) in made:
        raise OutputError(f"{target} is the result of another scan of the same name already.")
    _check_contents(volume, str(job.scan.path))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=r"meddenoise\.")
        denoised = work(volume, progress)
    report = write_report(denoised, target, overwrite=overwrite, **writing)
    return Outcome(
        input=str(job.scan.path),
        output=str(report.path),
        seconds=time.perf_counter() - began,
        voxels=volume.array.size,
        untouched=int(volume.array.size - np.count_nonzero(volume.valid)),
        clipped=report.clipped,
        notes=(*_oddities(volume), *(str(w.message) for w in said), *_written(report)),
    )


def _check_contents(volume: Volume, name: str) -> None:
    """Raise for a scan in which there is nothing: it is the wrong file, or a damaged one."""
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
