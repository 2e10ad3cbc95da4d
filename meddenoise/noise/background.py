"""The part of a scan where there is nothing but noise, found by what its noise looks like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.noise.moments import check_coils, magnitude_mean

__all__ = ["Background", "agree", "noise_background"]

# A block has so many voxels along each axis: 64 in all, in 3-D and in 2-D.
_EDGE = {2: 8, 3: 4}
# Correlated noise spreads wider than independent noise; the ratio of a magnitude's moments most.
_SLACK, _SLACK_OF_RATIO = 1.5, 2.32
# Blocks whose rms is farther than so many spreads from the commonest one do not belong to it.
_WIDTH = 2.0
# How far the distribution may be from the theoretical one (Kolmogorov-Smirnov). Measured: 0.01
# where there is simulated noise only, 0.02 to 0.04 in real scans and with little signal left, from
# 0.03 in tissue with an SNR around 1, more than 0.1 elsewhere. A wide uniform region with an SNR of
# exactly 1 has 0.016 and is taken for noise with a sigma 22 % too high.
_UNLIKE, _LIKE = 0.05, 0.025
# Of several coils a weak signal looks like stronger noise, but for its variance, which lacks the
# square of the signal's share of the power: sigma is at most 8 % too high.
_LACKING = 0.025
_FEWEST, _LEAST_SHARE = 20, 0.01
_SAMPLE = 200_000

# Background and tissue that differ by less have the same noise; the background tells it better.
_SAME, _SAME_GUESS = 1.25, 2.0
_HARDLY_SEEN = 0.05


@dataclass(frozen=True)
class Background:
    """Voxels without signal.

    Attributes:
        sigma: standard deviation of the noise, of each of the real and imaginary channels for a
            magnitude image; image units.
        magnitude: the noise is a magnitude's (Rayleigh, or chi of several coils); otherwise it
            scatters around 0.
        mask: bool, the image's shape: the voxels it was found in.
        distance: Kolmogorov-Smirnov distance from the theoretical distribution, 0 to 0.05.
    """

    sigma: float
    magnitude: bool
    mask: NDArray[np.bool_]
    distance: float

    @property
    def certain(self) -> bool:
        """Whether nothing else has such a distribution; weak tissue comes near it."""
        return self.distance < _LIKE

    @property
    def share(self) -> float:
        """The fraction of the image that it takes."""
        return float(self.mask.mean())


def noise_background(
    array: NDArray[np.generic], *, mask: NDArray[np.bool_] | None = None, coils: int = 1
) -> Background | None:
    """Find the noise-only background of a scan, and sigma from it.

    The scan is cut into blocks of 64 voxels. In a magnitude image without signal, the mean of a
    block is 0.886 of its root mean square, in a real-valued one 0. Of the blocks like that those
    with the commonest root mean square are taken; there ``sigma^2 = mean(M^2) / 2``
    (Rayleigh: Nowak, IEEE TIP 8:1408, 1999) or ``mean(M^2)``. It counts only if the voxels
    follow the whole distribution. If not, the same is tried among the blocks with less. Of n coils
    that is chi of 2 n degrees (Constantinides et al., Magn Reson Med 38:852, 1997): of 8 coils the
    ratio is 0.985, and ``sigma^2 = mean(M^2) / 16``.

    So it needs no threshold and no corner of the picture, and says None where the background was
    masked, is filled with a ghost, or was filtered. Noise-only regions of some processed scans
    are weaker than the noise in the tissue: compare the two before you trust it.

    Args:
        array: one scan, ``(X, Y)`` or ``(X, Y, Z)``, any unit.
        mask: bool, the same shape; only blocks wholly within count.
        coils: whose sum of squares a magnitude image is.

    Raises:
        ParameterError: no 2-D or 3-D image, a mask of another shape, or no number of coils.
    """
    check_coils(coils)
    if array.ndim not in _EDGE:
        raise ParameterError(
            f"Noise is estimated on one scan of 2 or 3 axes, not of shape {array.shape}."
        )
    if mask is not None and mask.shape != array.shape:
        raise ParameterError(f"The mask has shape {mask.shape}, the image {array.shape}.")
    edges = [min(_EDGE[array.ndim], n) for n in array.shape]
    known = np.isfinite(array) if mask is None else np.isfinite(array) & mask
    blocks = _blocks(np.where(known, array, np.nan), edges).astype(np.float64, copy=False)
    usable = np.asarray(np.isfinite(blocks).all(axis=1))
    # A masked background is as constant as nothing else. All blocks are asked, as everywhere here:
    # those that are usable by themselves would be another copy of the scan.
    lowest = blocks.min(axis=1)
    usable &= blocks.max(axis=1) > lowest
    if not usable.any():
        return None
    magnitude = bool(lowest[usable].min() >= 0)
    found = _commonest(blocks, usable, _Noise(coils if magnitude else 0))
    if found is None:
        return None
    sigma, chosen, distance = found
    return Background(sigma, magnitude, _voxels(chosen, edges, array.shape), distance)


def agree(background: float, tissue: float, response: float = 1.0) -> bool:
    """Whether both have the same noise, so far as tissue with its anatomy can tell.

    That is within 25 %; or within a factor of 2, if the band that told the tissue's saw less than
    a twentieth of its variance, so that it is hardly more than a guess.

    Args:
        background: sigma.
        tissue: sigma, in the same unit.
        response: how much of the noise's variance the tissue's band sees, 0 to 1.
    """
    same = _SAME if response >= _HARDLY_SEEN else _SAME_GUESS
    return max(background, tissue) <= same * min(background, tissue)


@dataclass(frozen=True)
class _Noise:
    """What noise without signal looks like, in units of sigma.

    Attributes:
        coils: whose magnitude it is; 0 for noise around 0.
    """

    coils: int

    @property
    def degrees(self) -> int:
        """Of freedom: so many squares of normal numbers add up to the square of a voxel."""
        return max(1, 2 * self.coils)

    @property
    def ratio(self) -> float:
        """Mean by root mean square."""
        return float(magnitude_mean(0, self.coils)) / self.degrees**0.5 if self.coils else 0.0

    @property
    def off(self) -> float:
        """How far a block's ratio may be from that, times the root of its voxels."""
        if not self.coils:
            return 3 * _SLACK
        # By the moments of chi, whose square has the mean k and the variance 2 k.
        left = 1 - self.ratio**2 * (1 + 1 / (2 * self.degrees))
        return 3 * _SLACK_OF_RATIO * math.sqrt(left)

    @property
    def spread(self) -> float:
        """Standard deviation of the logarithm of a block's rms, times the root of its voxels."""
        return math.sqrt(1 / (2 * self.degrees))

    def spreads_as(self, values: NDArray[np.float64]) -> bool:
        """Whether their variance is that of noise alone, by their power; of several coils."""
        if self.coils < 2:
            return True
        seen = 1 - values.mean() ** 2 / np.square(values).mean()
        return bool(abs(seen / (1 - self.ratio**2) - 1) < _LACKING)

    def below(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The share of voxels that are at or below each of those."""
        from scipy.special import gammainc, ndtr

        if not self.coils:
            return np.asarray(ndtr(values))
        if self.coils == 1:  # the same by a faster way
            return -np.expm1(-np.square(values) / 2)
        return np.asarray(gammainc(self.coils, np.square(values) / 2))


def _commonest(
    blocks: NDArray[np.float64], usable: NDArray[np.bool_], noise: _Noise
) -> tuple[float, NDArray[np.bool_], float] | None:
    """Sigma, its blocks and their distance from the distribution; of the strongest that fits."""
    size = blocks.shape[1]
    mean = np.where(usable, blocks.mean(axis=1), 0)
    rms = np.where(usable, np.sqrt(np.einsum("bv,bv->b", blocks, blocks) / size), 1)
    alike = usable & (np.abs(mean / rms - noise.ratio) < noise.off / math.sqrt(size))
    level = np.log(rms / math.sqrt(noise.degrees))
    width = _WIDTH * noise.spread / math.sqrt(size)
    open_ = alike.copy()
    fewest = max(_FEWEST, _LEAST_SHARE * len(blocks))
    while np.count_nonzero(open_) >= fewest:
        centre = _mode(level[open_], width)
        chosen = open_ & (np.abs(level - centre) < width)
        sigma = math.exp(centre)
        inside = blocks[chosen]
        distance = _distance(inside, sigma, noise)
        # The lower end of something stronger has a distribution as narrow as noise.
        above = int(np.count_nonzero(alike & (np.abs(level - centre - 2 * width) < width)))
        count = int(np.count_nonzero(chosen))
        fits = distance < _UNLIKE and noise.spreads_as(inside)
        if fits and count >= max(fewest, above):
            return sigma, chosen, distance
        open_ &= level < centre - width
    return None


def _mode(levels: NDArray[np.float64], width: float) -> float:
    """The commonest of logarithmic levels: the middle of the fullest window, then its mean."""
    ordered = np.sort(levels)
    upto = np.searchsorted(ordered, ordered + 2 * width, side="right")
    first = int(np.argmax(upto - np.arange(ordered.size)))
    centre = float(np.median(ordered[first : upto[first]]))
    for _ in range(30):
        near = ordered[np.abs(ordered - centre) < width]
        moved = 0.5 * math.log(float(np.exp(2 * near).mean()))
        if abs(moved - centre) < 1e-4:
            break
        centre = moved
    return centre


def _distance(blocks: NDArray[np.float64], sigma: float, noise: _Noise) -> float:
    """Kolmogorov and Smirnov's, from the distribution of that noise.

    The middle of each run of equal values counts, so that whole numbers do no harm.
    """
    values = blocks.ravel()
    values = values[:: max(1, values.size // _SAMPLE)] / sigma
    levels, counts = np.unique(values, return_counts=True)
    seen = (np.cumsum(counts) - 0.5 * counts) / values.size
    return float(np.abs(seen - noise.below(levels)).max())


def _blocks(values: NDArray[np.floating], edges: Sequence[int]) -> NDArray[np.floating]:
    """``(blocks, voxels)``; what does not fill a block at the far border is left out."""
    whole = values[tuple(slice(n // e * e) for n, e in zip(values.shape, edges, strict=True))]
    split = whole.reshape([k for n, e in zip(whole.shape, edges, strict=True) for k in (n // e, e)])
    axes = range(values.ndim)
    order = [2 * axis for axis in axes] + [2 * axis + 1 for axis in axes]
    return split.transpose(order).reshape(-1, math.prod(edges))


def _voxels(
    chosen: NDArray[np.bool_], edges: Sequence[int], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """The chosen blocks as a mask of voxels."""
    mask = chosen.reshape([n // e for n, e in zip(shape, edges, strict=True)])
    for axis, edge in enumerate(edges):
        mask = mask.repeat(edge, axis=axis)
    full = np.zeros(shape, dtype=bool)
    full[tuple(slice(n) for n in mask.shape)] = mask
    return full
