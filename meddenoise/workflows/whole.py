"""Large scans that must be held in memory as a whole: refused before they take it, and said."""

from __future__ import annotations

import math

from meddenoise.errors import ParameterError
from meddenoise.free_memory import free_memory
from meddenoise.io.plane_scan import PlaneScan
from meddenoise.volume import Volume
from meddenoise.workflows.places import Job
from meddenoise.workflows.streamed import STREAM_FROM

__all__ = ["check_room", "said_of_whole"]

# The scan, its result, and one more while the one is made of the other: no method takes less.
_COPIES = 3


def check_room(job: Job, scan: PlaneScan) -> None:
    """Raise if a large scan's header says that it cannot fit into the memory.

    Args:
        job: the scan and its place.
        scan: the same from :func:`meddenoise.workflows.streamed.open_scan`.

    Raises:
        ParameterError: says how much it takes at least, how much there is, and what takes less.
    """
    voxels = scan.head.channels * math.prod(scan.shape)
    needed, free = _needed(voxels, scan.head), free_memory()
    if needed > free:
        raise ParameterError(
            f"{job.scan.path} has {voxels:,} voxels, and in this way it takes at least "
            f"{_gib(needed)} of memory, of which {_gib(free)} are free: {_PLANEWISE}."
        )


def said_of_whole(volume: Volume) -> tuple[str, ...]:
    """A sentence for whoever denoises a large scan in a way that needs all of it in memory."""
    if volume.array.size < STREAM_FROM:
        return ()
    needed = _gib(_needed(volume.array.size, volume))
    return (f"It was held in memory as a whole, {needed} and more: {_PLANEWISE}.",)


_PLANEWISE = (
    "plane by plane go NIfTI, NRRD, raw MetaImage, zarr and DICOM slices, by a model, the network "
    "that ships or --method median, without --debias, and not a single slice that stands upright"
)


def _needed(voxels: int, head: Volume) -> int:
    return _COPIES * voxels * head.array.dtype.itemsize


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
