"""Anisotropic diffusion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.itk import by_itk, unit_for_itk
from meddenoise.filters.registry import register_filter
from meddenoise.filters.risk import least_error
from meddenoise.filters.spacing import relative_spacing
from meddenoise.noise.wavelet_mad import estimate_sigma

__all__ = ["anisotropic_diffusion"]

# Iterations and conductance, from hardly any smoothing to much.
_STRENGTHS = ((1, 1.0), (2, 1.0), (3, 1.0), (2, 2.0), (3, 2.0), (3, 3.0), (5, 3.0), (10, 3.0))

# The largest that is stable with voxel sides of 1 and more, in 2-D and in 3-D.
_TIME_STEP = {2: 0.125, 3: 0.0625}


@register_filter("anisotropic_diffusion", noise="iterations")
def anisotropic_diffusion(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    iterations: int | None = None,
    conductance: float | None = None,
) -> NDArray[np.floating]:
    """Diffusion that stops at edges, in its curvature form, by SimpleITK.

    ``dI/dt = |grad I| div(c(|grad I|) grad I / |grad I|)`` with ``c = exp(-|grad I|^2 / 2 K^2)``
    (Whitaker and Xue, ICIP 2001; the idea: Perona and Malik, IEEE PAMI 12:629, 1990). K is
    ``conductance`` times the root mean square gradient of the whole image, so a big image runs in
    one piece.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis.
        sigma_noise: standard deviation of the noise in image units; estimated if None. It only
            serves to choose the two options below.
        iterations: time steps of 1/16 (1/8 in 2-D) square of the finest voxel side.
        conductance: below 1 only the faintest differences are evened out; at 3 most. By default
            the pair, of eight from ``(1, 1)`` to ``(10, 3)``, that is expected to come closest to
            the truth (:func:`~meddenoise.filters.risk.least_error`).

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: iterations below 1, conductance not above 0, or only one of the two;
            neither, and the image too small to estimate its noise.
    """
    if (iterations is None) != (conductance is None):
        raise ParameterError("iterations and conductance belong together: give both or neither.")
    unit = unit_for_itk(array)
    if iterations is None or conductance is None:
        sigma = estimate_sigma(array) if sigma_noise is None else sigma_noise
        iterations, conductance = least_error(
            lambda part, chosen: _diffused(part, spacing, unit, *chosen), _STRENGTHS, array, sigma
        )
    elif iterations < 1:
        raise ParameterError(f"iterations is {iterations}: it is at least 1.")
    elif not (math.isfinite(conductance) and conductance > 0):
        raise ParameterError(f"conductance is {conductance:g}: it is above 0.")
    return _diffused(array, spacing, unit, iterations, conductance)


def _diffused(
    array: NDArray[np.floating],
    spacing: Sequence[float],
    unit: float,
    iterations: int,
    conductance: float,
) -> NDArray[np.floating]:
    def filtered(image: Any) -> Any:
        import SimpleITK as sitk

        # K follows the image as it becomes smoother.
        return sitk.CurvatureAnisotropicDiffusion(
            image, _TIME_STEP[array.ndim], conductance, 1, iterations
        )

    # ITK divides by voxel sides within the divergence, but not where it takes that: squared, they
    # make diffusion as slow across long voxels as it is in millimetres.
    sides = [step**2 for step in relative_spacing(spacing)]
    return by_itk(filtered, array, sides, unit=unit)
