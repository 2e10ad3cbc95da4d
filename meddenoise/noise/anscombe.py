"""The generalised Anscombe transform: Poisson-Gaussian noise made Gaussian with sigma 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError

__all__ = ["Anscombe"]

# So many photons the table reaches to; beyond, the closed form is within 0.01 photons.
_MOST = 50.0
_SIGNALS = 600
# The detector's own noise at so many places, up to 8 standard deviations.
_PLACES, _WIDTH = 801, 8.0
_ROOT = math.sqrt(3 / 2)


@dataclass(frozen=True)
class Anscombe:
    """``f(z) = (2 / g) sqrt(max(0, g z + 3 g^2 / 8 + v))`` at a variance of ``g E[z] + v``.

    With Gaussian noise of standard deviation s around an offset m, ``v = s^2 - g m`` (Starck,
    Murtagh and Bijaoui, Image Processing and Data Analysis, 1998, eq. 2.29). f(z) has a standard
    deviation of 1 to 2 % above 4 photons, within 10 % where the Gaussian part is at least a photon
    strong, and less where there are hardly any photons and nothing else.

    The inverse is not that of f but what gives E[z] for D = E[f(z)] (Makitalo and Foi, IEEE TIP
    22:91, 2013): below 50 photons by a table of the sum over all counts, above it in closed form
    (their eq. 10), to which is added what is missing at 50:

        z / g = D^2/4 + sqrt(3/2)/(4 D) - 11/(8 D^2) + 5 sqrt(3/2)/(8 D^3) - 1/8 - v / g^2

    Of one scan only v is known: a v below 0 is taken for an offset without Gaussian noise, one
    above 0 for Gaussian noise without offset.

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

    def __str__(self) -> str:
        return f"Poisson-Gaussian noise of gain {self.gain:.4g}, variance {self.variance:.4g} at 0"

    def forward(self, noisy: NDArray[np.floating]) -> NDArray[np.floating]:
        """The noisy image with noise of standard deviation 1; a new array of the same dtype."""
        z = noisy.astype(np.float64)
        under = self.gain * z + 3 / 8 * self.gain**2 + self.variance
        return (2 / self.gain * np.sqrt(np.maximum(under, 0))).astype(noisy.dtype)

    def inverse(self, denoised: NDArray[np.floating]) -> NDArray[np.floating]:
        """Image units again, without bias, for a denoised stabilised image; 0 photons at least."""
        table = _table(self._gaussian)
        d = denoised.astype(np.float64)
        photons = np.interp(d, table.expected, table.signals)
        beyond = d > table.expected[-1]
        photons[beyond] = table.beyond(d[beyond])
        return (self.gain * photons + self._offset).astype(denoised.dtype)

    def expected(self, clean: NDArray[np.floating]) -> NDArray[np.floating]:
        """What the stabilised image of a clean one would be on average: undoes :meth:`inverse`."""
        table = _table(self._gaussian)
        photons = (clean.astype(np.float64) - self._offset) / self.gain
        d = np.interp(photons, table.signals, table.expected)
        beyond = photons > table.signals[-1]
        d[beyond] = table.expected_beyond(photons[beyond])
        return np.asarray(d, dtype=clean.dtype)

    @property
    def _gaussian(self) -> float:
        """Standard deviation of the Gaussian part, in photons."""
        return math.sqrt(max(self.variance, 0.0)) / self.gain

    @property
    def _offset(self) -> float:
        """What there is without photons, in image units."""
        return max(-self.variance, 0.0) / self.gain


@dataclass(frozen=True, eq=False)
class _Table:
    """E[f(z)] at each number of photons, and the closed form beyond; ``gaussian`` in photons."""

    gaussian: float
    signals: NDArray[np.float64]
    expected: NDArray[np.float64]

    def beyond(self, d: NDArray[np.float64]) -> NDArray[np.float64]:
        """Photons where E[f(z)] is above the table."""
        return self._closed(d) + self._missing() / d

    def expected_beyond(self, photons: NDArray[np.float64]) -> NDArray[np.float64]:
        """E[f(z)] above the table: where :meth:`beyond` gives these photons, by Newton's steps."""
        d = 2 * np.sqrt(photons + 3 / 8 + self.gaussian**2)
        for _ in range(6):
            d = d - (self.beyond(d) - photons) * 2 / d
        return d

    def _closed(self, d: NDArray[np.float64]) -> NDArray[np.float64]:
        tail = _ROOT / (4 * d) - 11 / (8 * d**2) + 5 * _ROOT / (8 * d**3)
        return d**2 / 4 + tail - 1 / 8 - self.gaussian**2

    def _missing(self) -> float:
        """What the closed form lacks at the table's end, where it falls off with 1 / D."""
        last = self.expected[-1:]
        return float((self.signals[-1] - self._closed(last)) @ last)


@lru_cache(maxsize=64)
def _table(gaussian: float) -> _Table:
    """``E[f] = sum_k Poisson(k) mean(2 sqrt(max(0, k + s n + 3/8 + s^2)))``, n standard normal."""
    from scipy.stats import poisson

    signals = np.asarray(_MOST * np.linspace(0, 1, _SIGNALS) ** 2, dtype=np.float64)
    counts = np.arange(int(_MOST + 10 * math.sqrt(_MOST)) + 20)
    places = np.linspace(-_WIDTH, _WIDTH, _PLACES) if gaussian > 0 else np.zeros(1)
    weights = np.exp(-np.square(places) / 2)
    under = counts[:, None] + gaussian * places + 3 / 8 + gaussian**2
    of_count = 2 * np.sqrt(np.maximum(under, 0)) @ (weights / weights.sum())
    likely = poisson.pmf(counts, signals[:, None])
    return _Table(gaussian, signals, np.asarray(likely @ of_count))
