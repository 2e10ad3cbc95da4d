"""The bilateral filter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.itk import by_itk
from meddenoise.filters.registry import register_filter
from meddenoise.filters.slabs import in_slabs
from meddenoise.noise.wavelet_mad import estimate_sigma

__all__ = ["bilateral"]

# ITK's kernel ends there, in standard deviations.
_REACH = 2.5

# Differences in intensity are looked up in a table of so many entries; ITK's default of 100 shows.
_TABLE = 1000


@register_filter("bilateral", noise=True)
def bilateral(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    width: float = 1.0,
    strength: float = 3.0,
) -> NDArray[np.floating]:
    """The mean of neighbours of similar intensity, by SimpleITK.

    After Tomasi and Manduchi, ICCV 1998.

    Weights fall as a Gaussian with the distance and as another with the difference in
    intensity.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis; the kernel is round in mm.
        sigma_noise: standard deviation of the noise in image units; estimated if None.
        width: the Gaussian's standard deviation over distance, in voxels of the finest axis; the
            kernel ends at 2.5 of them.
        strength: the Gaussian's standard deviation over intensity, in multiples of the noise's.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: width or strength is not above 0; the noise is not given and the image
            too small to estimate it.
    """
    for name, value in (("width", width), ("strength", strength)):
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(f"{name} is {value:g}: it is above 0.")
    sigma = estimate_sigma(array) if sigma_noise is None else sigma_noise
    if sigma == 0:
        return array.copy()

    def filtered(image: Any) -> Any:
        import SimpleITK as sitk

        return sitk.Bilateral(image, width, strength, _TABLE)

    def by_sigma(part: NDArray[np.floating]) -> NDArray[np.floating]:
        # In units of sigma, as ITK keeps its table in single steps of them.
        return by_itk(filtered, part / array.dtype.type(sigma), spacing) * array.dtype.type(sigma)

    return in_slabs(by_sigma, array, halo=math.ceil(_REACH * width) + 1)
