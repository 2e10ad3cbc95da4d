"""The Gaussian filter."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.registry import register_filter
from meddenoise.filters.risk import least_error
from meddenoise.filters.slabs import in_slabs
from meddenoise.filters.spacing import relative_spacing
from meddenoise.noise.wavelet_mad import estimate_sigma

__all__ = ["gaussian"]

# In voxels; each removes about half more of the noise's variance than the one before.
_WIDTHS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0)

# Where the kernel ends, in standard deviations.
_REACH = 4.0


@register_filter("gaussian", noise="sigma")
def gaussian(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    sigma: float | None = None,
) -> NDArray[np.floating]:
    """Convolution with a Gaussian that is round in millimetres.

    The border is continued by its outermost voxels; the kernel ends at 4 sigma.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis.
        sigma_noise: standard deviation of the noise in image units; estimated if None. It only
            serves to choose ``sigma``.
        sigma: the Gaussian's standard deviation in voxels along the finest axis; along the
            others it is the same length in mm, so fewer voxels. By default whichever of 0.3 to
            3 is expected to come closest to the truth
            (:func:`~meddenoise.filters.risk.least_error`).

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: sigma is not above 0; none is given and the image too small to estimate
            its noise.
    """
    if sigma is None:
        noise = estimate_sigma(array) if sigma_noise is None else sigma_noise
        sigma = least_error(lambda part, s: _blurred(part, spacing, s), _WIDTHS, array, noise)
    elif not (math.isfinite(sigma) and sigma > 0):
        raise ParameterError(f"sigma is {sigma:g}: the filter's width is above 0, in voxels.")
    halo = math.ceil(_REACH * sigma) + 1
    return in_slabs(lambda part: _blurred(part, spacing, sigma), array, halo=halo)


def _blurred(
    array: NDArray[np.floating], spacing: Sequence[float], sigma: float
) -> NDArray[np.floating]:
    from scipy.ndimage import gaussian_filter

    widths = [sigma / step for step in relative_spacing(spacing)]
    blurred: NDArray[np.floating] = gaussian_filter(array, widths, mode="nearest", truncate=_REACH)
    return blurred
