"""Mean and variance of a magnitude image: Rician for one coil, noncentral chi for several."""

from __future__ import annotations

import math
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

# More than any receiver has; the noise of ever more takes hours.
_MOST_COILS = 1024
# From so many on SciPy's 1F1 overflows at some SNRs, and few moments say all.
_MANY_COILS = 48
_MOMENTS = 12

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
    if n >= _MANY_COILS:
        return _mean_of_many(np.square(np.asarray(snr, float)), n)
    factor = np.sqrt(2) * np.exp(gammaln(n + 0.5) - gammaln(n))
    return np.asarray(factor * hyp1f1(-0.5, n, -np.square(np.asarray(snr, float)) / 2))


def _mean_of_many(square: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """``E[sqrt(Y)]`` of a noncentral chi square Y, from its central moments.

    The cumulants of Y are ``2^(r-1) (r-1)! (2 n + r snr^2)``; the root is expanded around the mean.
    For 48 coils and more that is the mean to 1e-7.
    """
    from scipy.special import binom

    mean = 2 * n + square
    cumulants = [
        2.0 ** (r - 1) * math.factorial(r - 1) * (2 * n + r * square) / mean**r
        for r in range(2, _MOMENTS + 1)
    ]
    moments = [np.ones_like(mean), np.zeros_like(mean)]
    for r in range(2, _MOMENTS + 1):
        parts = (math.comb(r - 1, j - 1) * cumulants[j - 2] * moments[r - j]
                 for j in range(2, r + 1))  # fmt: skip
        moments.append(sum(parts, np.zeros_like(mean)))
    terms = (binom(0.5, r) * moment for r, moment in enumerate(moments))
    return np.asarray(np.sqrt(mean) * sum(terms, np.zeros_like(mean)))


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
        ParameterError: not a whole number of at least 1 and at most 1024.
    """
    number = isinstance(coils, (int, float, np.number)) and not isinstance(coils, bool)
    if not number or not 1 <= coils <= _MOST_COILS or not float(coils).is_integer():
        raise ParameterError(
            f"coils is {coils!r}: it is a whole number of at least 1, and at most {_MOST_COILS}."
        )
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
