"""Total variation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.registry import register_filter
from meddenoise.filters.risk import least_error
from meddenoise.filters.slabs import in_slabs
from meddenoise.filters.spacing import slice_axis
from meddenoise.noise.wavelet_mad import estimate_sigma

__all__ = ["total_variation"]

# Some ten copies of so much are needed, a gigabyte and more.
_SLAB_VOXELS = 2**25

# From hardly any smoothing to much.
_STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.3, 1.6)


@register_filter("total_variation", noise=True)
def total_variation(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    strength: float | None = None,
    iterations: int = 40,
) -> NDArray[np.floating]:
    """The image of least total variation close to the noisy one, by scikit-image.

    Minimises ``sum |grad u| + sum (u - y)^2 / (2 weight)`` (Rudin, Osher and Fatemi, Physica D
    60:259, 1992) by Chambolle's dual projection (J Math Imaging Vis 20:89, 2004). Of a
    volume with thick slices, more than twice as long as the finest voxel side, each slice is
    filtered on its own; smaller differences of voxel sides are not seen.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis.
        sigma_noise: standard deviation of the noise in image units; estimated if None.
        strength: the weight, in multiples of the noise's standard deviation. By default whichever
            of 0.2 to 1.6 is expected to come closest to the truth
            (:func:`~meddenoise.filters.risk.least_error`).
        iterations: of the projection; the result hardly changes after 30.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: strength is not above 0 or iterations below 1; the noise is not given and
            the image too small to estimate it.
    """
    from skimage.restoration import denoise_tv_chambolle

    if strength is not None and not (math.isfinite(strength) and strength > 0):
        raise ParameterError(f"strength is {strength:g}: it is above 0.")
    if iterations < 1:
        raise ParameterError(f"iterations is {iterations}: it is at least 1.")
    sigma = estimate_sigma(array) if sigma_noise is None else sigma_noise
    if sigma == 0:
        return array.copy()

    def smoothed(image: NDArray[np.floating], weight: float) -> NDArray[np.floating]:
        found: NDArray[np.floating] = denoise_tv_chambolle(
            image, weight, eps=0, max_num_iter=iterations, channel_axis=slice_axis(spacing)
        )
        return found

    # In units of sigma: scikit-image keeps single precision.
    centre = float(np.mean(array, dtype=np.float64))
    scaled = (array - array.dtype.type(centre)) / array.dtype.type(sigma)
    if strength is None:
        strength = least_error(smoothed, _STRENGTHS, scaled, 1.0)
    weight = strength
    # Each iteration looks at the nearest neighbours.
    smooth = in_slabs(
        lambda part: smoothed(part, weight), scaled, halo=iterations, most=_SLAB_VOXELS
    )
    return np.asarray(smooth * sigma + centre, dtype=array.dtype)
