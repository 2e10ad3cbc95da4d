"""The generalised Anscombe transform: Poisson-Gaussian noise made Gaussian with sigma 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError

__all__ = ["Anscombe"]

# Where no photons are expected: below it, the inverse's series in 1 / D makes no sense.
_DARK = 2 * math.sqrt(3 / 8)


@dataclass(frozen=True)
class Anscombe:
    """``f(z) = (2 / g) sqrt(max(0, g z + 3 g^2 / 8 + v))`` at a variance of ``g E[z] + v``.

    With Gaussian noise of standard deviation s around an offset m, ``v = s^2 - g m`` (Starck,
    Murtagh and Bijaoui, Image Processing and Data Analysis, 1998, eq. 2.29). f(z) has the variance
    1, good above some 4 photons. The inverse is not that of f but what gives the expectation of z
    for the expectation D of f(z), in closed form (Makitalo and Foi, IEEE TIP 22:91, 2013, eq. 10):

        z / g = D^2/4 + sqrt(3/2)/(4 D) - 11/(8 D^2) + 5 sqrt(3/2)/(8 D^3) - 1/8 - v / g^2

    Attributes:
        gain: g, image units per photon, above 0.
        variance: v, image units squared; as
            :class:`meddenoise.noise.photon_transfer.PhotonTransfer` has it.
    """

    gain: float
    variance: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gain) and self.gain > 0 and math.isfinite(self.variance)):
            raise ParameterError(
                f"gain is {self.gain:g} and variance {self.variance:g}: both are finite, and gain, "
                "in image units per photon, is above 0."
            )

    def forward(self, noisy: NDArray[np.floating]) -> NDArray[np.floating]:
        """The noisy image with noise of standard deviation 1; a new array of the same dtype."""
        z = noisy.astype(np.float64)
        under = self.gain * z + 3 / 8 * self.gain**2 + self.variance
        return (2 / self.gain * np.sqrt(np.maximum(under, 0))).astype(noisy.dtype)

    def inverse(self, denoised: NDArray[np.floating]) -> NDArray[np.floating]:
        """Image units again, without bias, for a denoised stabilised image."""
        d = np.maximum(denoised.astype(np.float64), _DARK)
        root = math.sqrt(3 / 2)
        photons = d**2 / 4 + root / (4 * d) - 11 / (8 * d**2) + 5 * root / (8 * d**3) - 1 / 8
        return (self.gain * (photons - self.variance / self.gain**2)).astype(denoised.dtype)

    def expected(self, clean: NDArray[np.floating]) -> NDArray[np.floating]:
        """What the stabilised image of a clean one would be on average: undoes :meth:`inverse`."""
        low, high = float(np.nanmin(clean)), float(np.nanmax(clean))
        top = float(self.forward(np.array([max(high, low, 0.0)]))[0]) + 1
        d = np.linspace(_DARK, max(top, 2 * _DARK), 4001)
        return np.interp(clean, self.inverse(d), d).astype(clean.dtype)
