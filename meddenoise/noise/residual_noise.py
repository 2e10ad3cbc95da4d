"""Noise like that which a denoiser took away from an image: as strong, and correlated alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["ENOUGH", "ResidualNoise", "middle_part"]

Image = NDArray[np.float32]

# Neighbours along each axis whose covariance is measured: clinical scans are often filled with
# zeros around 80 to 95 % of k-space. Fewer, where there are not so many voxels for each of them.
_FAR, _FOR_EACH = 6, 100

ENOUGH = 2**20
"""Of so many voxels a denoiser is tried once more; more tell nothing more."""

# Half of the places, the flatter one, by the mean over so many voxels; without the borders.
_FLATTEST, _AROUND, _BORDER = 0.5, 5, 6

# Of the strength that a tenth of the places exceeds.
_LITTLE = 0.1

# Of the residual: what a denoiser leaves of so much more noise is what it leaves of noise.
_PROBE = 0.3

# What it takes away of a frequency is made up for from that share on.
_LEAST = 0.1

# Correlations that are all below that are chance: white noise gave up to 0.014, and zeros in 5 % of
# k-space give 0.05.
_WHITE = 0.03

# Noise is as strong at most frequencies, or weaker at the highest. What goes beyond the strength
# that so many of them do not exceed is texture. Noise of 10 % that was added to four heads, white
# or filled with zeros from 85 to 95 %, is so found to 1 to 7 %; the finest details tell it to 12 %.
_USUAL = 0.7


@dataclass(frozen=True, eq=False)
class ResidualNoise:
    """Stationary Gaussian noise by its covariance.

    Attributes:
        covariance: float64, ``(2 k + 1, ...)`` per axis, with the variance in the middle and that
            of voxels so many apart around it; k is at most 6.
    """

    covariance: NDArray[np.float64]

    @property
    def sigma(self) -> float:
        """Its standard deviation."""
        middle = tuple(n // 2 for n in self.covariance.shape)
        return math.sqrt(max(float(self.covariance[middle]), 0.0))

    def settled(self, sigma: float) -> ResidualNoise:
        """White noise of a standard deviation that is known better, where this is as good as white.

        What was taken away tells how noise is correlated to 0.01, and how strong it is to 3 %;
        other ways tell the strength of white noise to 1 %, and that of any other hardly better.
        """
        if self.sigma == 0:
            return self
        alone = np.zeros_like(self.covariance)
        middle = tuple(n // 2 for n in alone.shape)
        alone[middle] = self.covariance[middle]
        if np.abs(self.covariance - alone).max() > _WHITE * self.sigma**2:
            return self
        return ResidualNoise(alone * (sigma / self.sigma) ** 2)

    @classmethod
    def measured(
        cls,
        noisy: NDArray[np.floating],
        image: NDArray[np.floating],
        denoise: Callable[[Image], NDArray[np.floating]],
        floor: float | None = None,
    ) -> ResidualNoise:
        """From what was taken away where the result is flat: there it is noise alone.

        What was left behind, mostly of low frequencies, is made up for by what the denoiser leaves
        of noise that is added.

        Args:
            noisy: ``(X, Y)`` or ``(X, Y, Z)``, finite.
            image: what the denoiser made of it.
            denoise: does so.
            floor: darker places do not count.
        """
        noisy, image = (middle_part(np.asarray(a, dtype=np.float32)) for a in (noisy, image))
        where = _flat(image, noisy - image, floor)
        taken = cls(_covariance(noisy - image, where))
        added = np.float32(_PROBE) * taken.draw(noisy.shape, torch.Generator().manual_seed(0))
        removed = added - (np.asarray(denoise(noisy + added), dtype=np.float32) - image)
        before, after = (_spectrum(_covariance(a, where)) for a in (added, removed))
        share = np.divide(after, before, out=np.ones_like(before), where=before > 0)
        whole = _spectrum(taken.covariance) / np.clip(share, _LEAST, 1.0)
        whole = np.minimum(whole, np.quantile(whole, _USUAL))
        return cls(np.fft.fftshift(np.fft.ifftn(whole).real))

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> Image:
        """A draw of that noise; it goes on from one border to the opposite one.

        Args:
            shape: as many axes as the covariance has.
            generator: the random numbers.
        """
        from scipy.fft import irfftn, rfftn

        white = torch.randn(tuple(shape), generator=generator).numpy()
        far = [min(c // 2, (n - 1) // 2) for c, n in zip(self.covariance.shape, shape, strict=True)]
        inner = tuple(
            slice(c // 2 - k, c // 2 + k + 1)
            for c, k in zip(self.covariance.shape, far, strict=True)
        )
        spread = np.zeros(shape, dtype=np.float32)
        spread[np.ix_(*(np.arange(-k, k + 1) for k in far))] = self.covariance[inner]
        # Cut off as it is, a covariance may have a spectrum that is negative somewhere.
        filtered = rfftn(white) * np.sqrt(np.maximum(rfftn(spread).real, 0.0))
        return np.asarray(irfftn(filtered, s=tuple(shape)), dtype=np.float32)


def middle_part(array: Image) -> Image:
    """As many planes in the middle as are enough."""
    deep = max(ENOUGH // max(array[0].size, 1), 1)
    first = max((len(array) - deep) // 2, 0)
    return array[first : first + deep]


def _flat(image: Image, taken: Image, floor: float | None) -> NDArray[np.bool_]:
    """Where the image is flat, and noise of full strength was taken away."""
    from scipy.ndimage import uniform_filter

    # Air is often masked, or was smoothed: where little was taken away there is no noise.
    strength = uniform_filter(taken * taken, _AROUND, mode="nearest")
    told = strength > _LITTLE * np.quantile(strength, 0.9)
    if floor is not None:
        told &= image > floor
    inner = tuple(slice(_BORDER, -_BORDER) if n > 4 * _BORDER else slice(None) for n in image.shape)
    inside = np.zeros(image.shape, dtype=bool)
    inside[inner] = True
    told &= inside
    if not told.any():
        return inside
    energy = np.zeros(image.shape, dtype=np.float32)
    for axis in range(image.ndim):
        steps = np.diff(image, axis=axis)
        energy[tuple(slice(0, n) for n in steps.shape)] += steps**2
    energy = uniform_filter(energy, _AROUND, mode="nearest")
    return np.asarray(told & (energy <= np.quantile(energy[told], _FLATTEST)))


def _covariance(image: Image, where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Over all pairs of voxels that are both there."""
    far, left = [0] * image.ndim, where.sum() / _FOR_EACH
    # From the shortest axis on: what it has no room for is left to the others.
    for k, axis in enumerate(np.argsort(image.shape)):
        most = int(left ** (1 / (image.ndim - k)))
        far[axis] = min(_FAR, max(most - 1, 0) // 2, (image.shape[axis] - 1) // 2)
        left /= 2 * far[axis] + 1
    centred = np.where(where, image - image[where].mean(dtype=np.float64), 0)
    pairs = np.maximum(_lagged(where.astype(np.float32), far), 1.0)
    return np.asarray(_lagged(centred.astype(np.float32), far) / pairs)


def _lagged(x: Image, far: Sequence[int]) -> NDArray[np.float64]:
    """Sums over all pairs of voxels that are so far apart, ``(2 far + 1, ...)``."""
    from scipy.fft import irfftn, next_fast_len, rfftn

    size = [next_fast_len(n + k, real=True) for n, k in zip(x.shape, far, strict=True)]
    found = irfftn(np.abs(rfftn(x, s=size)) ** 2, s=size)
    return np.asarray(found[np.ix_(*(np.arange(-k, k + 1) for k in far))], dtype=np.float64)


def _spectrum(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.maximum(np.fft.fftn(np.fft.ifftshift(covariance)).real, 0.0))
