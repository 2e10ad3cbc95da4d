"""Curvature flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.itk import by_itk, unit_for_itk
from meddenoise.filters.registry import register_filter
from meddenoise.filters.risk import least_error
from meddenoise.filters.slabs import in_slabs
from meddenoise.noise.wavelet_mad import estimate_sigma

__all__ = ["curvature_flow"]

_ITERATIONS = (1, 2, 3, 5, 7, 10, 14, 20)

# The largest that is stable with voxel sides of 1 and more, in 2-D and in 3-D.
_TIME_STEP = {2: 0.125, 3: 0.0625}


@register_filter("curvature_flow", noise="iterations")
def curvature_flow(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    iterations: int | None = None,
) -> NDArray[np.floating]:
    """Every contour of equal intensity moves by its curvature, by SimpleITK.

    ``dI/dt = |grad I| div(grad I / |grad I|)`` (Sethian, Level Set Methods, 1999) in explicit
    steps. Contrast plays no part, so small structures go like noise.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis.
        sigma_noise: standard deviation of the noise in image units; estimated if None. It only
            serves to choose ``iterations``.
        iterations: time steps of 1/16 (1/8 in 2-D) square of the finest voxel side. By default as
            many of 1 to 20 as are expected to come closest to the truth
            (:func:`~meddenoise.filters.risk.least_error`).

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: iterations below 1; none are given and the image too small to estimate
            its noise.
    """
    unit = unit_for_itk(array)
    if iterations is None:
        sigma = estimate_sigma(array) if sigma_noise is None else sigma_noise
        iterations = least_error(
            lambda part, count: _flown(part, spacing, count, unit), _ITERATIONS, array, sigma
        )
    elif iterations < 1:
        raise ParameterError(f"iterations is {iterations}: it is at least 1.")
    # Each step looks at the nearest neighbours.
    return in_slabs(lambda part: _flown(part, spacing, iterations, unit), array, halo=iterations)


def _flown(
    array: NDArray[np.floating], spacing: Sequence[float], iterations: int, unit: float
) -> NDArray[np.floating]:
    def filtered(image: Any) -> Any:
        import SimpleITK as sitk

        return sitk.CurvatureFlow(image, _TIME_STEP[array.ndim], iterations)

    return by_itk(filtered, array, spacing, unit=unit)
