"""A noisy scan in, a denoised one out, in its own format."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meddenoise.errors import FileError, InputError, OutputError, ParameterError
from meddenoise.filters import apply_filter
from meddenoise.io import ScanFile, extension_for, list_scans, read, write
from meddenoise.io.formats import format_of_name
from meddenoise.volume import Volume

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
        notes: what the reader and writer had to say (clipped values and the like).
        error: why there is no result, or ``None``.
    """

    input: str
    output: str | None
    seconds: float
    voxels: int = 0
    untouched: int = 0
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
    """
    if isinstance(scan, (str, os.PathLike)):
        volume = read(scan, series=series)
    elif isinstance(scan, Volume):
        volume = scan
    else:
        volume = Volume.from_array(np.asarray(scan))
    return _worker(model, method, device)(volume, progress)


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

    Returns:
        One outcome a scan. Of several scans, one that fails does not stop the others.

    Raises:
        InputError: nothing could be done: no such input, no such model, an output in the way.
    """
    work = _worker(model, method, device)
    jobs = list(_jobs(Path(source), Path(output), series))
    if len(jobs) == 1:
        return [_one(*jobs[0], work, overwrite, progress)]
    outcomes = []
    for number, (scan, target) in enumerate(jobs):
        began = time.perf_counter()
        try:
            outcomes.append(_one(scan, target, work, overwrite, _part(progress, number, len(jobs))))
        except InputError as fault:
            spent = time.perf_counter() - began
            outcomes.append(Outcome(str(scan.path), None, spent, error=str(fault)))
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
    denoiser = Denoiser.load(model, device=device)
    return lambda volume, progress: denoiser(volume, progress=progress)


def _jobs(source: Path, output: Path, series: str | None) -> Iterator[tuple[ScanFile, Path]]:
    """Which scan goes where."""
    scans = list_scans(source)
    if not scans:
        raise FileError(f"There is no scan in {source}: it needs DICOM, NIfTI, NRRD, MHA or images.")
    if len({scan.path for scan in scans}) == 1:
        # One scan; or several series in one directory, where reading says which there are.
        scan = scans[0]
        whole = source if scan.format == "dicom" else scan.path
        chosen = ScanFile(whole, scan.format, series, scan.relative)
        named, _ = format_of_name(output)
        into = scan.format != "dicom" and (output.is_dir() or named is None)
        yield chosen, output / scan.path.name if into else output
        return
    if output.is_file() or format_of_name(output)[0] is not None:
        raise OutputError(
            f"{source} holds {len(scans)} scans: give a directory as the output, not {output}."
        )
    for scan in scans:
        yield scan, output / scan.relative


def _one(
    scan: ScanFile,
    target: Path,
    work: Callable[[Volume, Progress | None], Volume],
    overwrite: bool,
    progress: Progress | None,
) -> Outcome:
    began = time.perf_counter()
    _refuse(scan.path, target, overwrite)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        volume = read(scan.path, series=scan.series)
        if extension_for(volume) == ".png" and target.suffix.lower() in (".jpg", ".jpeg"):
            target = target.with_suffix(".png")  # JPEG would add its own noise
        denoised = work(volume, progress)
        written = write(denoised, target, overwrite=overwrite)
    return Outcome(
        input=str(scan.path),
        output=str(written),
        seconds=time.perf_counter() - began,
        voxels=volume.array.size,
        untouched=int(volume.array.size - np.count_nonzero(volume.valid)),
        notes=tuple(dict.fromkeys(str(w.message) for w in said if w.category is not DeprecationWarning)),
    )


def _refuse(source: Path, target: Path, overwrite: bool) -> None:
    """Say what is in the way before minutes are spent on the scan."""
    if target.exists():
        if target.resolve() == source.resolve():
            raise OutputError(f"{target} is the input itself, and inputs are never overwritten.")
        if not overwrite:
            raise OutputError(f"{target} exists: choose another output, or say --overwrite.")
    place = target.parent
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise OutputError(f"{target} cannot be written: {place} is no directory we may write to.")


def _part(progress: Progress | None, number: int, count: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done: progress((number + done) / count)
