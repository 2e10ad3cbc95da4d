"""Large areas of one value, such as a masked background: no noise is in them, and they stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meddenoise.volume import single_slice
from meddenoise.workflows.changed import changed
from meddenoise.workflows.way import Way

__all__ = ["blank_areas", "keeping_blank"]

# Voxels of one value along either axis of a slice that are no chance: air that is cut off at its
# lowest value has such squares only where next to nothing of its noise is left.
_SIDE = 10


def keeping_blank(way: Way) -> Way:
    """The way, with large areas of one value as they were.

    A network gives the background of a skull-stripped head values about 0, and whoever takes what
    is not 0 for the head takes all of it.

    Args:
        way: any.
    """

    def keep(
        noisy: NDArray[np.floating], measured: NDArray[np.bool_], clean: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        blank = blank_areas(noisy)
        if blank is None:
            return clean
        return np.where(blank, noisy, clean).astype(clean.dtype, copy=False)

    return changed(way, keep)


def blank_areas(array: NDArray[np.floating]) -> NDArray[np.bool_] | None:
    """Which voxels lie in large areas of one value, slice by slice; ``None`` for none of them.

    An area is all that hangs together, in its slice, with a square of 10 x 10 voxels of its value.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``; slices lie along Z, a single one along its own axis.
    """
    across = single_slice(array.shape)
    across = 2 if across is None else across
    slices = array[..., None] if array.ndim == 2 else np.moveaxis(array, across, 2)
    squares = _squares(slices)
    if not squares.any():
        return None
    blank = np.zeros(array.shape, dtype=bool)
    into = blank[..., None] if array.ndim == 2 else np.moveaxis(blank, across, 2)
    for number in np.flatnonzero(squares.any(axis=(0, 1))):
        _fill(into[..., number], slices[..., number], squares[..., number])
    return blank


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


def _fill(
    into: NDArray[np.bool_], values: NDArray[np.floating], squares: NDArray[np.bool_]
) -> None:
    """All that hangs together with the squares of one slice."""
    from scipy.ndimage import label

    corners = np.nonzero(squares)
    for value in np.unique(values[corners]):
        areas, _ = label(values == value)
        found = np.unique(areas[corners][values[corners] == value])
        into |= np.isin(areas, found)
