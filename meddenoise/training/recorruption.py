"""Recorruptions of a noisy scan: an image with a little more noise, and a target for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from meddenoise.data.draws import generator
from meddenoise.noise.residual_noise import ResidualNoise
from meddenoise.training.recombined import Recombination

__all__ = ["Copy", "Filter", "Others", "Recorruption", "place"]

Image = NDArray[np.floating]
Filter = Callable[[Image, float], Image]
"""``(noisy, sigma)`` to the filtered image."""
Others = Callable[[Image, Image, float], Sequence[Image]]
"""``(noisy, filtered, sigma)`` to what else may be made of it."""

# y1 has little more noise than the scan: the filter does with it what it does with the scan.
_ALPHA = 0.15


@dataclass(frozen=True, eq=False)
class Copy:
    """A recorruption of (a part of) the scan: y1, what is made of it, and y2.

    Attributes:
        noisier: y1, float32.
        filtered: what the filter makes of it.
        target: y2, whose noise is independent of that of y1.
        others: what else is made of y1.
    """

    noisier: NDArray[np.float32]
    filtered: NDArray[np.float32]
    target: NDArray[np.float32]
    others: Sequence[Image] = field(default=())

    def by(self, few: Recombination, sigma: float) -> Copy:
        """With a better filter, and without the others; ``sigma`` is that of the noise in y1."""
        better = few.of(self.noisier, self.filtered, sigma, self.others)
        return replace(self, filtered=better, others=())


@dataclass(frozen=True, eq=False)
class Recorruption:
    """How a scan is recorrupted (R2R: Pang et al., CVPR 2021, equation 8).

    ``y1 = y + sqrt(a / (1 - a)) w`` and ``y2 = y - sqrt((1 - a) / a) w`` have independent noise if
    w is like the noise in y.

    Attributes:
        first: the filter.
        others: what else is made of y1; may be nothing.
        like: draws w.
        sigma: standard deviation of the noise in the scan.
        seed: of w.
    """

    first: Filter
    others: Others
    like: ResidualNoise
    sigma: float
    seed: int

    @property
    def noisier(self) -> float:
        """The standard deviation of the noise in y1."""
        return self.sigma / math.sqrt(1 - _ALPHA)

    @property
    def shared(self) -> float:
        """Among how many voxels noise is shared: of such noise, voxels count for less."""
        return float(np.square(self.like.covariance / self.like.sigma**2).sum())

    def of(self, noisy: NDArray[np.float32], number: int) -> Copy:
        """One of them; each number gives another, an odd one with the w of the even one before, but
        negative.

        What w by itself has to do with an image, by chance, goes in the sum of both: of the error
        of what is learned from them that was the most.
        """
        noise = self.like.draw(noisy.shape, generator(self.seed, "recorruption", number // 2))
        noise = noise * np.float32((-1) ** number)
        ratio = math.sqrt(_ALPHA / (1 - _ALPHA))
        noisier = noisy + np.float32(ratio) * noise
        filtered = self.first(noisier, self.noisier).astype(np.float32)
        others = self.others(noisier, filtered, self.noisier)
        return Copy(noisier, filtered, noisy - noise / np.float32(ratio), tuple(others))


def place(shape: Sequence[int], part: Sequence[int], seed: int, number: int) -> tuple[slice, ...]:
    """Where a recorruption is cut from: somewhere else each time."""
    draws = torch.rand(len(shape), generator=generator(seed, "part", number)).tolist()
    corner = [int(u * (n - p + 1)) for u, n, p in zip(draws, shape, part, strict=True)]
    return tuple(slice(c, c + p) for c, p in zip(corner, part, strict=True))
