"""Denoises a scan that is too large to be held in memory, from file to file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import FileError
from meddenoise.io import Sidecars, WriteReport, write_report
from meddenoise.io.ahead import behind
from meddenoise.io.formats import format_of_name
from meddenoise.io.plane_scan import PlaneScan
from meddenoise.io.planes import open_planes
from meddenoise.io.source import HeaderSource
from meddenoise.io.writing import PLANE_FORMATS
from meddenoise.volume import Volume
from meddenoise.workflows.places import Job

__all__ = [
    "STREAM_FROM",
    "Stream",
    "Streamed",
    "by_planes",
    "open_large",
    "open_scan",
    "write_streamed",
]

STREAM_FROM = 2**25
"""A scan with so many voxels is not read into memory, where it can be read plane by plane."""


class Streamed(Protocol):
    """A scan that is denoised plane by plane.

    Attributes:
        untouched: voxels that are not finite, and stay as they are.
        blank: whether there is nothing in it: no finite voxel, or all channels are of one value.
        lowest: the smallest value; infinite if none is finite.
        head: the result without its voxels.
    """

    @property
    def untouched(self) -> int: ...
    @property
    def blank(self) -> bool: ...
    @property
    def lowest(self) -> float: ...
    @property
    def head(self) -> Volume: ...

    def planes(
        self, beside: Path, progress: Callable[[float], None] | None = None
    ) -> Iterator[NDArray[np.floating]]:
        """The result, parts ``(X, Y, n)`` from first to last, one channel after the other.

        Args:
            beside: a directory with room for the scan in float32, if it is needed.
            progress: called with the finished fraction.
        """
        ...


# What denoises a scan that is read plane by plane.
Stream = Callable[[PlaneScan], Streamed]


def open_scan(job: Job) -> PlaneScan | None:
    """The scan to be looked at by its header; ``None`` if it is small or can only be read whole.

    Raises:
        FileError, AmbiguousInput, GeometryError: its header is damaged, or there are several.
    """
    scan = open_planes(job.scan.path, series=job.scan.series, at_least=STREAM_FROM)
    if scan is None or scan.head.channels * math.prod(scan.shape) < STREAM_FROM:
        return None
    return scan


def open_large(job: Job) -> tuple[PlaneScan, Path] | None:
    """The scan to be read plane by plane, and where its result goes; ``None`` for any other.

    Raises:
        FileError, AmbiguousInput, GeometryError: as :func:`open_scan`.
    """
    scan = open_scan(job)
    return None if scan is None else by_planes(scan, job)


def by_planes(scan: PlaneScan, job: Job) -> tuple[PlaneScan, Path] | None:
    """The scan and where its result goes, if it can be read and written plane by plane.

    A single slice that stands upright is read as a whole: it is an image, and each of its planes
    but one line of that.
    """
    if 1 in scan.shape[:2]:
        return None
    target = job.target_for(scan.head)
    source = scan.head.source
    assert isinstance(source, HeaderSource)
    kind = format_of_name(target)[0]
    if source.format == "dicom":
        # Without an extension it becomes a series again; slices on no regular grid go nowhere else.
        fits = kind in PLANE_FORMATS and not source.irregular
        return (scan, target) if fits or kind in (None, "dicom") else None
    return (scan, target) if kind in PLANE_FORMATS and kind != "dicom" else None


def write_streamed(
    stream: Stream,
    scan: PlaneScan,
    target: Path,
    sidecars: Sidecars,
    *,
    progress: Callable[[float], None] | None = None,
    **writing: Any,
) -> tuple[WriteReport, int]:
    """Denoise from file to file; what was written, and how many voxels were left as they were.

    The network runs in this thread; reading ahead and writing behind have one each.

    Raises:
        InputError: nothing can be done; nothing is left behind.
    """
    streaming = stream(scan)
    if streaming.blank:
        low = streaming.lowest
        why = "no voxel is finite" if math.isinf(low) else f"it is constant, {low:g} everywhere"
        raise FileError(f"There is nothing to denoise in {scan.path}: {why}.")
    place = target.absolute().parent
    while not place.exists():
        place = place.parent
    head = streaming.head
    report = behind(
        lambda planes: write_report(head, target, planes=planes, beside=sidecars.files, **writing),
        streaming.planes(place, progress),
    )
    return report, streaming.untouched
