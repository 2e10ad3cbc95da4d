"""What of a large scan is looked at where looking at all of it would take its memory many times.

A scan that is held in memory is looked at in the same places as one that is read plane by plane, so
that both come out the same.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.io.plane_scan import middle_of
from meddenoise.noise.mppca import FEWEST_VOLUMES
from meddenoise.volume import Volume

__all__ = ["Block", "few_of", "is_series", "looked_at", "voxels_looked_at", "warn_of_structure"]

# Voxels of a channel, and of all, that the noise is estimated from.
_ENOUGH, _MOST = 2**24, 2**26
# The block in the middle of a larger scan whose residual is looked at.
_BLOCK = (256, 256, 64)


def voxels_looked_at(channels: int) -> int:
    """Of each channel, so many voxels in the middle planes tell of the noise."""
    return min(_ENOUGH, _MOST // channels)


def few_of(volume: Volume) -> Volume:
    """Those planes of a scan in memory: of most scans, all."""
    return volume if volume.dims == 2 else middle_of(volume, voxels_looked_at(volume.channels))


def is_series(volume: Volume) -> bool:
    """Whether there are so many volumes of one grid that their noise is taken for the same."""
    return volume.channels >= FEWEST_VOLUMES


def looked_at(shape: Sequence[int]) -> tuple[slice, ...]:
    """The block of a scan whose residual is looked at: of most scans, all."""
    if math.prod(shape) <= _ENOUGH:
        return tuple(slice(0, n) for n in shape)
    sizes = [min(n, most) for n, most in zip(shape, _BLOCK, strict=False)]
    return tuple(
        slice((n - size) // 2, (n - size) // 2 + size) for n, size in zip(shape, sizes, strict=True)
    )


class Block:
    """That block of a scan that goes by plane by plane, before and after the network.

    Args:
        shape: ``(X, Y, Z)`` of the scan.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        *self._across, self._along = looked_at(shape)
        self._noisy: dict[int, NDArray[np.floating]] = {}
        self._clean: list[NDArray[np.floating]] = []

    def noisy(self, part: NDArray[np.floating], first: int) -> None:
        """Planes ``(X, Y, n)`` from ``first`` on; the same may come more than once."""
        self._noisy[first] = self._inside(part, first)

    def clean(self, part: NDArray[np.floating], first: int) -> None:
        """The same of the result."""
        self._clean.append(self._inside(part, first))

    def _inside(self, part: NDArray[np.floating], first: int) -> NDArray[np.floating]:
        low = max(self._along.start - first, 0)
        high = max(self._along.stop - first, 0)
        return part[(*self._across, slice(low, high))].copy()

    def pair(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Both, put together."""
        noisy = [self._noisy[first] for first in sorted(self._noisy)]
        return np.concatenate(noisy, axis=-1), np.concatenate(self._clean, axis=-1)


def warn_of_structure(
    noisy: NDArray[np.floating],
    clean: NDArray[np.floating],
    inside: NDArray[np.bool_] | None = None,
) -> None:
    """Say so if anatomy is in what was taken away.

    Args:
        noisy, clean: with noise of the same strength everywhere, before and after.
        inside: bool, the voxels that were measured; those that are finite if ``None``.
    """
    from meddenoise.evaluation.residual import residual_structure

    if inside is None:
        inside = np.isfinite(noisy)
        if not inside.all():
            noisy = np.where(inside, noisy, clean)
    try:
        found = residual_structure(noisy, clean, mask=inside)
    except ParameterError:
        return  # too small to tell
    if found.structured:
        warnings.warn(
            f"What was taken away holds structure: at edges it is {found.ratio:.1f} times as "
            "strong as elsewhere, where noise alone would be alike. Look at it (--keep-noise), or "
            "take less away (--strength 0.7).",
            stacklevel=3,
        )
