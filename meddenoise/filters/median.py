"""The median filter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.registry import register_filter
from meddenoise.filters.slabs import in_slabs
from meddenoise.filters.spacing import box_sizes

__all__ = ["median"]


@register_filter("median")
def median(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    size: int = 3,
) -> NDArray[np.floating]:
    """The median of a box of neighbours.

    The border is continued by its outermost voxels.

    Across thick slices, where voxels are more than twice as long as along the finest axis,
    the box is one voxel deep.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis.
        sigma_noise: not used.
        size: the box's width in voxels; odd, at least 1.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: size is even or below 1.
    """
    from scipy.ndimage import median_filter

    if size < 1 or size % 2 == 0:
        raise ParameterError(f"size is {size}: it is an odd number of voxels, at least 1.")
    box = box_sizes(size, spacing)
    return in_slabs(
        lambda part: median_filter(part, size=box, mode="nearest"), array, halo=size // 2
    )
