"""A filter over a big image piece by piece, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["in_slabs"]

# Filters need a few copies of what they look at: of so many voxels, some tens of megabytes.
_SLAB_VOXELS = 2**22


def in_slabs(
    function: Callable[[NDArray[np.floating]], NDArray[np.floating]],
    array: NDArray[np.floating],
    *,
    halo: int,
    most: int | None = None,
) -> NDArray[np.floating]:
    """What ``function(array)`` gives, computed slab by slab along the first axis.

    Each slab is filtered with ``halo`` more planes on both sides, which are cut off again. So
    the result is that of one piece if a plane of ``function``'s result depends on no plane
    farther away than that, and on nothing of the image as a whole (such as its maximum).

    Args:
        function: keeps the shape; it sees at most a few million voxels at once, or planes as
            deep as three halos if those are more.
        array: ``(X, Y)`` or ``(X, Y, Z)``.
        halo: planes, at least 0.
        most: voxels that it sees at once, instead of a few million; where halos are deep, larger
            slabs save work.

    Returns:
        An array of the same shape and dtype.
    """
    deep = max((most or _SLAB_VOXELS) // max(array[0].size, 1) - 2 * halo, halo, 1)
    if deep >= len(array):
        return np.asarray(function(array), dtype=array.dtype)
    result = np.empty_like(array)
    for first in range(0, len(array), deep):
        last = min(first + deep, len(array))
        begin = max(first - halo, 0)
        part = function(array[begin : last + halo])
        result[first:last] = part[first - begin : last - begin]
    return result
