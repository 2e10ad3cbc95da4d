"""The mean (box) filter."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.registry import register_filter
from meddenoise.filters.risk import least_error
from meddenoise.filters.slabs import in_slabs
from meddenoise.filters.spacing import box_sizes
from meddenoise.noise.wavelet_mad import estimate_sigma

__all__ = ["mean"]

_SIZES = (1, 3, 5, 7)


@register_filter("mean", noise="size")
def mean(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    size: int | None = None,
) -> NDArray[np.floating]:
    """The mean of a box of neighbours.

    The border is continued by its outermost voxels.

    Across thick slices, where voxels are more than twice as long as along the finest axis,
    the box is one voxel deep.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis.
        sigma_noise: standard deviation of the noise in image units; estimated if None. It only
            serves to choose a size.
        size: the box's width in voxels, odd, at least 1. By default whichever of 1, 3, 5 and 7
            is expected to come closest to the truth (:func:`~meddenoise.filters.risk.least_error`);
            with 1 the image stays as it is, and a warning says so.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: size is even or below 1; none is given and the image too small to
            estimate its noise.
    """
    if size is None:
        sigma = estimate_sigma(array) if sigma_noise is None else sigma_noise
        size = least_error(lambda part, n: _boxed(part, spacing, n), _SIZES, array, sigma)
        if size == 1:
            warnings.warn(
                "The mean of neighbours would blur more than it denoises here, so the image stays "
                "as it is: give a size to have it filtered all the same.",
                stacklevel=2,
            )
    elif size < 1 or size % 2 == 0:
        raise ParameterError(f"size is {size}: it is an odd number of voxels, at least 1.")
    return in_slabs(lambda part: _boxed(part, spacing, size), array, halo=size // 2)


def _boxed(
    array: NDArray[np.floating], spacing: Sequence[float], size: int
) -> NDArray[np.floating]:
    from scipy.ndimage import uniform_filter

    filtered: NDArray[np.floating] = uniform_filter(
        array, size=box_sizes(size, spacing), mode="nearest"
    )
    return filtered
