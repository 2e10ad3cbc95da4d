"""PSNR without truth, for a method that can be run: Stein's unbiased risk estimate."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.metrics import check_data_range
from meddenoise.filters.risk import expected_error

__all__ = ["sure_psnr"]


def sure_psnr(
    function: Callable[[NDArray[np.floating]], NDArray[np.floating]],
    noisy: NDArray[np.floating],
    *,
    sigma: float,
    data_range: float,
) -> float:
    """The PSNR that a method's result is expected to have, in dB.

    ``10 log10(data_range^2 / SURE)`` with :func:`meddenoise.filters.risk.expected_error`: the
    method is run on the scan (a large one: on 27 blocks of it) and once more on the scan with a
    small disturbance. For noise that is white and Gaussian of a known sigma. A result whose method
    is not at hand has no such estimate: how it answers to a disturbance cannot be seen on it.

    Args:
        function: the method, an array to one of the same shape.
        noisy: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        sigma: of the noise, in image units, above 0.
        data_range: the peak, in image units.

    Raises:
        ParameterError: a sigma that is not positive, or an estimated error that is not.
    """
    peak = check_data_range(data_range)
    if not (math.isfinite(sigma) and sigma > 0):
        raise ParameterError(f"SURE wants the noise's sigma, above 0, and it is {sigma:g}.")
    error = expected_error(function, noisy, sigma)
    if not error > 0:
        raise ParameterError(
            f"SURE estimates a squared error of {error:.4g}, which is not above 0: sigma is too "
            "high for this scan, or its noise is not white."
        )
    return 10 * math.log10(peak**2 / error)
