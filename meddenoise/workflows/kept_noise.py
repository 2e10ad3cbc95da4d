"""What a denoiser took away, as a scan beside the result: ``meddenoise denoise --keep-noise``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import GeometryError, InputError, OutputError
from meddenoise.io import WriteReport, read, write_report
from meddenoise.io.ahead import ahead, behind
from meddenoise.io.formats import format_of_name
from meddenoise.io.parts import Taken
from meddenoise.io.plane_scan import PlaneScan
from meddenoise.io.planes import open_planes
from meddenoise.io.write_check import target_format
from meddenoise.volume import Volume
from meddenoise.workflows.batch import Outcome, inputs_of
from meddenoise.workflows.places import Job, check_place, is_there, plan_beside
from meddenoise.workflows.streamed import open_large

__all__ = ["KeptNoise"]

_NOTE = "what denoising took away"
# Pictures whose pixels are positive; TIFF has floats.
_UNSIGNED = ("png", "jpeg")


@dataclass(frozen=True)
class KeptNoise:
    """Where what is taken away of each scan goes: input minus result.

    The difference is of the files, so that it is what changed for whoever reads them. It is in the
    scan's units, in floats; in DICOM in signed integers.

    Attributes:
        places: by the job of a result, that of its residual; of all scans of the call.
        overwrite: replace existing files.
        allow_irregular: as for the results: tilted or unevenly spaced DICOM slices may go to
            another format.
    """

    places: dict[Job, Job]
    overwrite: bool = False
    allow_irregular: bool = False

    @classmethod
    def of(
        cls,
        jobs: Sequence[Job],
        source: str | os.PathLike[str],
        output: str | os.PathLike[str] | None,
        *,
        series: str | None = None,
        overwrite: bool = False,
        allow_irregular: bool = False,
    ) -> KeptNoise:
        """For the scans that were planned; for none of them if no output is given.

        Raises:
            OutputError: a place that cannot be, or that of something else.
        """
        if output is None:
            return cls({}, overwrite, allow_irregular)
        residuals = [_in_floats(job) for job in plan_beside(jobs, source, output, series=series)]
        _check_apart(jobs, residuals)
        return cls(dict(zip(jobs, residuals, strict=True)), overwrite, allow_irregular)

    def check(self, jobs: Sequence[Job], *, resumes: bool) -> None:
        """Raise where a residual cannot go, before anything is denoised.

        Args:
            jobs: those that are done now.
            resumes: a scan whose result is there is passed over, and so is its residual.

        Raises:
            OutputError: something is in the way.
        """
        for job in jobs:
            residual = self.places.get(job)
            if residual is None:
                continue
            target = residual.likely
            passed = resumes and not self.overwrite and is_there(job.likely)
            if not (passed and is_there(target)):
                check_place(job.scan.path, target, overwrite=self.overwrite)

    def keep(self, job: Job, outcome: Outcome) -> Outcome:
        """Write what was taken away of a scan whose result is there.

        Of a scan that was passed over it is made if it is missing.

        Returns:
            The outcome, with the residual's place among the notes, or an error.
        """
        residual = self.places.get(job)
        passed = outcome.output is None
        if residual is None or outcome.error is not None or (passed and is_there(residual.likely)):
            return outcome
        try:
            report = self._written(job, residual, outcome)
        except InputError as fault:
            result = outcome.output or job.likely
            return replace(outcome, error=f"{result} is written, but not its noise: {fault}")
        return (
            outcome if report is None else replace(outcome, notes=(*outcome.notes, *_said(report)))
        )

    def _written(self, job: Job, residual: Job, outcome: Outcome) -> WriteReport | None:
        """Plane by plane if scan and result are large; ``None`` if it is there already."""
        scan = residual.scan
        large = open_large(residual)
        noisy = read(scan.path, series=scan.series) if large is None else large[0].head
        target = residual.target_for(noisy)
        result = job.target_for(noisy) if outcome.output is None else Path(outcome.output)
        if outcome.output is None and is_there(target):
            return None
        if os.path.realpath(target) == os.path.realpath(result):
            raise OutputError(f"{target} is the result: choose another place for the noise.")
        clean = None if large is None else open_planes(result)
        if large is not None and clean is not None:
            return self._streamed(large[0], clean, target)
        if large is not None:
            noisy = read(scan.path, series=scan.series)
        return self._whole(noisy, read(result), target)

    @property
    def _writing(self) -> dict[str, Any]:
        return {
            "overwrite": self.overwrite,
            "dtype": "float32",
            "allow_irregular": self.allow_irregular,
        }

    def _whole(self, noisy: Volume, clean: Volume, target: Path) -> WriteReport:
        _check_alike(noisy, clean)
        change = _change(noisy.array, noisy.valid, clean.array.reshape(noisy.array.shape))
        residual = _head(noisy).with_array(change, note=_NOTE)
        return write_report(residual, target, **self._writing)

    def _streamed(self, noisy: PlaneScan, clean: PlaneScan, target: Path) -> WriteReport:
        _check_alike(noisy.head, clean.head)

        def planes() -> Iterator[NDArray[np.floating]]:
            for channel in range(noisy.head.channels):
                results = Taken(ahead(clean.planes(channel)))
                for part, measured in noisy.originals(channel):
                    yield _change(part, measured, results.next(part.shape[2]))

        head = _head(noisy.head).with_array(noisy.head.array, note=_NOTE)
        return behind(
            lambda parts: write_report(head, target, planes=parts, **self._writing), planes()
        )


def _in_floats(job: Job) -> Job:
    """In a directory, a picture's residual has the picture's name and a format with floats.

    Raises:
        OutputError: a format that holds nothing negative, or is not written, was asked for.
    """
    kind, extension = format_of_name(job.target)
    if job.named and kind in _UNSIGNED:
        raise OutputError(
            f"{job.target}: {extension} cannot hold negative numbers, and what is taken away has "
            "them: let the name after --keep-noise end in .tif or .nii.gz."
        )
    if job.named and job.scan.format != "dicom":
        target_format(job.target, None)
    if job.named or job.scan.format not in _UNSIGNED:
        return job
    stem = job.target.name[: -len(extension)] if kind in _UNSIGNED else job.target.name
    return replace(job, target=job.target.with_name(f"{stem}.tif"), named=True)


def _check_apart(jobs: Sequence[Job], residuals: Sequence[Job]) -> None:
    """Residuals, results and inputs replace each other nowhere, nor lie in each other.

    Raises:
        OutputError: they would.
    """
    inputs = inputs_of(jobs)
    results = {os.path.realpath(job.likely) for job in jobs}
    # A series is a directory: what lay in it would be read as a part of it.
    around = {str(above) for result in results for above in Path(result).parents}
    seen: dict[str, Job] = {}
    for residual in residuals:
        target, real = residual.likely, os.path.realpath(residual.likely)
        within = results.intersection(str(above) for above in Path(real).parents)
        if real in inputs:
            raise OutputError(f"{target} is an input, and inputs are never overwritten.")
        if real in results or real in around or within:
            raise OutputError(
                f"{target} is the place of a result, or one of the two lies in the other: choose "
                "another place after --keep-noise."
            )
        if real in seen:
            both = (seen[real].scan, residual.scan)
            pictures = any(scan.format in _UNSIGNED for scan in both)
            raise OutputError(
                f"{target} would hold what was taken away of two scans, {both[0].path} and "
                f"{both[1].path}{', as noise of pictures is written as .tif' * pictures}: denoise "
                "them in two calls, with two places after --keep-noise."
            )
        seen[real] = residual


def _check_alike(noisy: Volume, clean: Volume) -> None:
    """Formats differ in whether a picture has a third axis, and in nothing else.

    Raises:
        GeometryError: the result has other axes than the scan.
    """
    sizes = [(v.channels, *v.shape, *[1] * (3 - v.dims)) for v in (noisy, clean)]
    if sizes[0] != sizes[1]:
        one, other = (" x ".join(map(str, size)) for size in sizes)
        raise GeometryError(
            f"the scan has {one} voxels (channels first) and its result {other}: what was taken "
            "away is no difference of the two. Write the result in the scan's own format."
        )


def _head(noisy: Volume) -> Volume:
    """The scan for writing its residual: without padding, and with a sign."""
    source = noisy.source
    if getattr(source, "format", "") == "dicom":
        from meddenoise.io.dicom.signed import signed
        from meddenoise.io.dicom.source import DicomSource

        assert isinstance(source, DicomSource)
        source = signed(source)
    return replace(noisy, padding=None, source=source)


def _change(
    noisy: NDArray[np.floating], measured: NDArray[np.bool_], clean: NDArray[np.floating]
) -> NDArray[np.floating]:
    """What is no number is none in the residual either: nothing was taken there."""
    with np.errstate(invalid="ignore"):
        return np.where(measured, noisy - clean, 0).astype(noisy.dtype)


def _said(report: WriteReport) -> tuple[str, ...]:
    where = f"What was taken away is in {report.path}."
    if not report.clipped:
        return (where,)
    return (
        f"{where} {report.clipped:,} of its {report.voxels:,} voxels lay beyond what "
        f"{report.dtype} holds and were clipped.",
    )
