"""The Gaussian filter."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.registry import register_filter

__all__ = ["gaussian"]


@register_filter("gaussian")
def gaussian(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    sigma: float = 1.0,
) -> NDArray[np.floating]:
    """Convolution with a Gaussian that is round in millimetres.

    The border is continued by its outermost voxels; the kernel ends at 4 sigma.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis.
        sigma_noise: not used.
        sigma: the Gaussian's standard deviation in voxels along the finest axis; along the
            others it is the same length in mm, so fewer voxels.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: sigma is not above 0.
    """
    from scipy.ndimage import gaussian_filter

    if not (math.isfinite(sigma) and sigma > 0):
        raise ParameterError(f"sigma is {sigma:g}: the filter's width is above 0, in voxels.")
    widths = [sigma * min(spacing) / step for step in spacing]
    smoothed: NDArray[np.floating] = gaussian_filter(array, widths, mode="nearest")
    return smoothed
