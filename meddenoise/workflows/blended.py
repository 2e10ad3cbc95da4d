"""Only a share of what a denoiser takes away: ``meddenoise denoise --strength``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meddenoise.io.ahead import ahead
from meddenoise.io.parts import Originals
from meddenoise.io.planes import PlaneScan
from meddenoise.volume import Volume
from meddenoise.workflows.streamed import Streamed
from meddenoise.workflows.way import Progress, Way

__all__ = ["blended"]


def blended(way: Way, strength: float) -> Way:
    """The way, with only a share of what it takes away gone.

    Args:
        way: any.
        strength: 0 for nothing, 1 for all.
    """

    def run(volume: Volume, progress: Progress | None) -> Volume:
        denoised = way.run(volume, progress)
        return denoised.with_array(
            _blend(volume.array, volume.valid, denoised.array, strength), note=_note(strength)
        )

    if way.stream is None:
        return replace(way, run=run)
    stream = way.stream
    return replace(way, run=run, stream=lambda scan: _Blended(stream(scan), scan, strength))


def _note(strength: float) -> str:
    return f"blended, strength {strength:g}"


def _blend(
    noisy: NDArray[np.floating],
    measured: NDArray[np.bool_],
    clean: NDArray[np.floating],
    strength: float,
) -> NDArray[np.floating]:
    """What was not measured is as in the result."""
    # Where it is no number, so is the difference, and it is not taken.
    with np.errstate(invalid="ignore"):
        share = noisy + strength * (clean - noisy)
    return np.where(measured, share, clean).astype(clean.dtype, copy=False)


class _Blended:
    """The same plane by plane; see :class:`~meddenoise.workflows.streamed.Streamed`."""

    def __init__(self, whole: Streamed, scan: PlaneScan, strength: float) -> None:
        self._whole, self._scan, self._strength = whole, scan, strength
        self.untouched, self.blank, self.lowest = whole.untouched, whole.blank, whole.lowest

    @property
    def head(self) -> Volume:
        head = self._whole.head
        return head.with_array(head.array, note=_note(self._strength))

    def planes(
        self, beside: Path, progress: Callable[[float], None] | None = None
    ) -> Iterator[NDArray[np.floating]]:
        depth, done, channel = self._scan.shape[2], 0, 0
        noisy = self._originals(channel)
        for part in self._whole.planes(beside, progress):
            if done == depth:
                channel, done = channel + 1, 0
                noisy = self._originals(channel)
            yield _blend(*noisy.next(part.shape[2]), part, self._strength)
            done += part.shape[2]

    def _originals(self, channel: int) -> Originals:
        return Originals(ahead(self._scan.originals(channel)))
