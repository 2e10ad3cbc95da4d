"""Total variation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.registry import register_filter
from meddenoise.filters.spacing import slice_axis
from meddenoise.noise.wavelet_mad import estimate_sigma

__all__ = ["total_variation"]


@register_filter("total_variation")
def total_variation(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    strength: float = 0.6,
    iterations: int = 40,
) -> NDArray[np.floating]:
    """The image of least total variation close to the noisy one, by scikit-image.

    Minimises ``sum |grad u| + sum (u - y)^2 / (2 weight)`` (Rudin, Osher and Fatemi, Physica D
    60:259, 1992) by Chambolle's dual projection (J Math Imaging Vis 20:89, 2004). Every voxel
    depends on all others, so a big image runs in one piece. Of a volume with thick slices, more
    than twice as long as the finest voxel side, each slice is filtered on its own; smaller
    differences of voxel sides are not seen.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis.
        sigma_noise: standard deviation of the noise in image units; estimated if None.
        strength: the weight, in multiples of the noise's standard deviation.
        iterations: of the projection; the result hardly changes after 30.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: strength is not above 0 or iterations below 1; the noise is not given and
            the image too small to estimate it.
    """
    from skimage.restoration import denoise_tv_chambolle

    if not (math.isfinite(strength) and strength > 0):
        raise ParameterError(f"strength is {strength:g}: it is above 0.")
    if iterations < 1:
        raise ParameterError(f"iterations is {iterations}: it is at least 1.")
    sigma = estimate_sigma(array) if sigma_noise is None else sigma_noise
    if sigma == 0:
        return array.copy()
    # In units of sigma: scikit-image keeps single precision.
    centre = float(np.mean(array, dtype=np.float64))
    scaled = (array - array.dtype.type(centre)) / array.dtype.type(sigma)
    smooth = denoise_tv_chambolle(
        scaled, weight=strength, eps=0, max_num_iter=iterations, channel_axis=slice_axis(spacing)
    )
    return np.asarray(smooth * sigma + centre, dtype=array.dtype)
