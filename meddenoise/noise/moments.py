"""Mean and variance of a magnitude image: Rician for one coil, noncentral chi for several."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError

__all__ = [
    "check_coils",
    "check_magnitude",
    "koay_inversion",
    "magnitude_mean",
    "magnitude_variance",
    "snr_of_mean",
]

# Between neighbours of that grid all functions here are straight to 1e-6.
_POINTS = 4001


def magnitude_mean(snr: ArrayLike, coils: int = 1) -> NDArray[np.float64]:
    """``E[M] / sigma`` of a magnitude with the clean signal ``A = snr * sigma``.

    ``sqrt(2) Gamma(n + 1/2) / Gamma(n) 1F1(-1/2; n; -snr^2 / 2)`` for n coils, which is
    ``sqrt(pi/2) L_1/2(-snr^2 / 2)`` for one. (Koay and Basser, J Magn Reson 179:317, 2006,
    eq. 14; Constantinides et al., Magn Reson Med 38:852, 1997.)

    Args:
        snr: A / sigma, at least 0, any shape; A is the root of the sum of squares over coils.
        coils: n, at least 1.
    """
    from scipy.special import gammaln, hyp1f1

    n = check_coils(coils)
    factor = np.sqrt(2) * np.exp(gammaln(n + 0.5) - gammaln(n))
    return np.asarray(factor * hyp1f1(-0.5, n, -np.square(np.asarray(snr, float)) / 2))


def magnitude_variance(snr: ArrayLike, coils: int = 1) -> NDArray[np.float64]:
    """``Var[M] / sigma^2``, between 0.43 (one coil, no signal) and 1; Koay and Basser's xi.

    For one coil ``xi(t) = 2 + t^2 - (pi/8) exp(-t^2/2) [(2 + t^2) I0(t^2/4) + t^2 I1(t^2/4)]^2``
    (their eq. 18); for n coils ``2 n + t^2 - E[M]^2 / sigma^2``, with t the SNR.

    Args:
        snr, coils: as in :func:`magnitude_mean`; up to an SNR of a thousand.
    """
    square = np.square(np.asarray(snr, float))
    return np.asarray(2 * check_coils(coils) + square - magnitude_mean(snr, coils) ** 2)


def snr_of_mean(mean: ArrayLike, coils: int = 1) -> NDArray[np.float64]:
    """The SNR whose :func:`magnitude_mean` that is: the exact inverse, by a table.

    Args:
        mean: E[M] / sigma, any shape. What is below the mean of pure noise is 0.
        coils: n, at least 1.
    """
    snr, means, _ = _table(check_coils(coils))
    wanted = np.asarray(mean, float)
    # Beyond the table E[M] = A + (2n - 1) sigma^2 / (2 A) to 1e-5 sigma.
    root = np.sqrt(np.maximum(wanted**2 - 2 * (2 * coils - 1), 0))
    return np.where(wanted > means[-1], (wanted + root) / 2, np.interp(wanted, means, snr))


def koay_inversion(
    mean: ArrayLike, std: ArrayLike, coils: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Clean signal and sigma from the mean and the standard deviation of a magnitude.

    ``sigma^2 = Var[M] / xi(A / sigma)`` (Koay and Basser, eq. 17): the ratio of mean to standard
    deviation rises with the SNR and so gives it, by a table.

    Args:
        mean: of the magnitude in a uniform region, image units; any shape.
        std: the same region's standard deviation, above 0.
        coils: n, at least 1.

    Returns:
        ``A`` and ``sigma`` in image units. A ratio below that of pure noise is taken for it.
    """
    snr, means, spreads = _table(check_coils(coils))
    m, s = np.asarray(mean, float), np.asarray(std, float)
    at = np.interp(m / s, means / spreads, snr)
    sigma = s / np.interp(at, snr, spreads)
    return sigma * snr_of_mean(m / sigma, coils), sigma


def check_coils(coils: int) -> int:
    """The number of coils, if it is one.

    Raises:
        ParameterError: not a whole number of at least 1.
    """
    number = isinstance(coils, (int, float, np.number)) and not isinstance(coils, bool)
    if not number or not float(coils).is_integer() or coils < 1:
        raise ParameterError(f"coils is {coils!r}: it is a whole number of at least 1.")
    return int(coils)


def check_magnitude(values: NDArray[np.floating]) -> None:
    """Raise for values that no magnitude has; not-a-numbers are passed over.

    Raises:
        ParameterError: a negative value.
    """
    if (values < 0).any():
        raise ParameterError(
            "The image has negative values, so it is no magnitude image and its noise is not "
            "Rician: neither stabilise it as such nor take the bias of Rician noise away."
        )


@lru_cache(maxsize=8)
def _table(coils: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """SNR, and mean and standard deviation of the magnitude in sigma at it."""
    snr = np.linspace(0, 40 + 10 * np.sqrt(coils), _POINTS)
    return snr, magnitude_mean(snr, coils), np.sqrt(magnitude_variance(snr, coils))
