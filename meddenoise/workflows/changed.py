"""A way of denoising whose result is changed, voxel by voxel, by what was there before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meddenoise.io.ahead import ahead
from meddenoise.io.parts import Originals
from meddenoise.io.plane_scan import PlaneScan
from meddenoise.volume import Volume
from meddenoise.workflows.streamed import Streamed
from meddenoise.workflows.way import Progress, Way

__all__ = ["Change", "changed", "changed_volume"]

# What was there, where that was measured, and the result: one channel, (X, Y) or (X, Y, Z), or some
# planes of it. The result is not written to.
Change = Callable[
    [NDArray[np.floating], NDArray[np.bool_], NDArray[np.floating]], NDArray[np.floating]
]


def changed(way: Way, change: Change, note: str = "") -> Way:
    """The way, with its result changed, in memory and from file to file alike.

    Args:
        way: any.
        change: gives the new result, of the same type. It goes by planes along the last axis, and
            may see no other.
        note: what was done, for a result's header; ``""`` for nothing to say.
    """

    def run(volume: Volume, progress: Progress | None) -> Volume:
        made = changed_volume(volume, way.run(volume, progress), change)
        return made.with_array(made.array, note=note) if note else made

    if way.stream is None:
        return replace(way, run=run)
    stream = way.stream
    return replace(way, run=run, stream=lambda scan: _Changed(stream(scan), scan, change, note))


def changed_volume(volume: Volume, denoised: Volume, change: Change) -> Volume:
    """A result in memory, changed by what was there before.

    Args:
        volume: as it was.
        denoised: what was made of it.
        change: as for :func:`changed`.
    """
    clean = [*denoised.array]
    made = [change(*each) for each in zip(volume.array, volume.valid, clean, strict=True)]
    if all(new is old for new, old in zip(made, clean, strict=True)):
        return denoised
    array = np.empty_like(denoised.array)  # with its order of axes in memory
    for place, new in zip(array, made, strict=True):
        place[...] = new
    return replace(denoised, array=array)


class _Changed:
    """The same plane by plane; see :class:`~meddenoise.workflows.streamed.Streamed`."""

    def __init__(self, whole: Streamed, scan: PlaneScan, change: Change, note: str) -> None:
        self._whole, self._scan, self._change, self._note = whole, scan, change, note
        self.untouched, self.blank, self.lowest = whole.untouched, whole.blank, whole.lowest

    @property
    def head(self) -> Volume:
        head = self._whole.head
        return head.with_array(head.array, note=self._note) if self._note else head

    def planes(
        self, beside: Path, progress: Callable[[float], None] | None = None
    ) -> Iterator[NDArray[np.floating]]:
        depth, done, channel = self._scan.shape[2], 0, 0
        noisy = self._originals(channel)
        for part in self._whole.planes(beside, progress):
            if done == depth:
                channel, done = channel + 1, 0
                noisy = self._originals(channel)
            yield self._change(*noisy.next(part.shape[2]), part)
            done += part.shape[2]

    def _originals(self, channel: int) -> Originals:
        return Originals(ahead(self._scan.originals(channel)))
