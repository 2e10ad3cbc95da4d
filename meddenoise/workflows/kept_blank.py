"""Large areas of one value, such as a masked background: no noise is in them, and they stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meddenoise.volume import Volume, single_slice
from meddenoise.workflows.changed import changed, changed_volume
from meddenoise.workflows.way import Way

__all__ = ["blank_areas", "keeping_blank", "with_blank_kept"]

# Voxels of one value along either axis of a slice that are no chance. Air that is cut off at its
# lowest value has such squares where next to nothing of its noise is left, and counted photons
# where there are 0.02 a voxel or fewer: there 17 % of the voxels would stay without any.
_SIDE = 16


def keeping_blank(way: Way) -> Way:
    """The way, with large areas of one value as they were.

    A network gives the background of a skull-stripped head values about 0, and whoever takes what
    is not 0 for the head takes all of it.

    Args:
        way: any.
    """
    return changed(way, _kept)


def with_blank_kept(volume: Volume, denoised: Volume) -> Volume:
    """What was made of a scan in memory, with large areas of one value as they were.

    Args:
        volume: as it was.
        denoised: what was made of it.
    """
    return changed_volume(volume, denoised, _kept)


def _kept(
    noisy: NDArray[np.floating], measured: NDArray[np.bool_], clean: NDArray[np.floating]
) -> NDArray[np.floating]:
    blank = blank_areas(noisy)
    if blank is None:
        return clean
    return np.where(blank, noisy, clean).astype(clean.dtype, copy=False)


def blank_areas(array: NDArray[np.floating]) -> NDArray[np.bool_] | None:
    """Which voxels lie in large areas of one value, slice by slice; ``None`` for none of them.

    An area is made of squares of 16 x 16 voxels. What else hangs together with it does not count:
    beside a masked background noise that is cut off has its lowest value in many voxels, too.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``; slices lie along Z, a single one along its own axis.
    """
    across = single_slice(array.shape)
    across = 2 if across is None else across
    slices = array[..., None] if array.ndim == 2 else np.moveaxis(array, across, 2)
    corners = _squares(slices)
    if not corners.any():
        return None
    blank = np.zeros(slices.shape, dtype=bool)
    blank[: corners.shape[0], : corners.shape[1]] = corners
    for axis in (0, 1):
        _spread(blank, axis)
    return blank[..., 0] if array.ndim == 2 else np.moveaxis(blank, 2, across)


def _squares(slices: NDArray[np.floating]) -> NDArray[np.bool_]:
    """The first corners of squares of one value in ``(X, Y, n)``."""
    # A square is of one value if its lines along X are, and one of its lines along Y.
    lines = _runs(slices[1:] == slices[:-1], 0, _SIDE - 1)
    side = _runs(slices[:, 1:] == slices[:, :-1], 1, _SIDE - 1)
    whole = _runs(lines, 1, _SIDE)
    return whole & side[: whole.shape[0], : whole.shape[1]]


def _runs(same: NDArray[np.bool_], axis: int, length: int) -> NDArray[np.bool_]:
    """Where so many in a row are true, at the first of them."""

    def along(first: int, last: int | None) -> tuple[slice, ...]:
        return (slice(None),) * axis + (slice(first, last),)

    if same.shape[axis] < length:
        return same[along(0, 0)]
    have = 1
    while have < length:
        step = min(have, length - have)
        same = same[along(0, -step)] & same[along(step, None)]
        have += step
    return same


def _spread(marks: NDArray[np.bool_], axis: int) -> None:
    """Mark the side of a square from each mark on."""
    moved = np.moveaxis(marks, axis, 0)
    have = 1
    while have < _SIDE:
        step = min(have, _SIDE - have)
        moved[step:] |= moved[:-step].copy()
        have += step
