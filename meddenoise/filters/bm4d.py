"""Block matching and collaborative filtering: BM4D of volumes, BM3D of pictures."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.blocks import Blocks, Tile, haar_matrix, kaiser_window, match_blocks
from meddenoise.filters.group_noise import GroupNoise
from meddenoise.filters.refine import refined
from meddenoise.filters.registry import register_filter
from meddenoise.filters.threads import in_threads
from meddenoise.noise.correlation import Correlation
from meddenoise.noise.wavelet_mad import estimate_sigma

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["around", "bm4d"]

# Coefficients below so many sigma are noise. Between Maggioni's 2.7 and 2.9 nothing changes.
_THRESHOLD = 2.8

# Groups that are filtered at once: what they need stays in the cache.
_GROUPS = 512

# Of how far intensities are from their mean: less noise is lost in the rounding of single
# precision, and of still less it does not hold the squares.
_ROUNDING, _SQUARED = 2.0**-23, 1e-15

# A voxel's coefficients take 64 floats, three times over: with what a tile sees around itself, some
# 300 megabytes for each core at work.
_TILE_VOXELS = 2**18


@register_filter("bm4d", noise=True)
def bm4d(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    correlation: Correlation | None = None,
    search: int = 3,
    group: int = 16,
    refine: bool = False,
) -> NDArray[np.floating]:
    """Block matching and collaborative filtering: the best, and slower than most.

    After Maggioni et al., IEEE TIP 22:119, 2013, in two passes.

    Similar blocks are stacked, transformed together (cosines in the block, Haar across the
    stack), shrunk, and put back; a voxel's value is the weighted mean over all blocks that hold
    it. The first pass shrinks by a hard threshold of 2.8 sigma; the second, with blocks matched
    on the first one's result, by the Wiener weights ``b^2 / (b^2 + sigma^2)`` that it suggests.
    A picture is filtered so in 8 x 8 blocks (Dabov et al., IEEE TIP 16:2080, 2007). The
    transforms are cosines in both passes, every block's coefficients are computed once, and
    groups have a fixed size: that makes it batched tensor arithmetic.

    Right for Gaussian noise. What is correlated between voxels has a sigma of its own in each
    coefficient, which follows from ``correlation`` (:mod:`meddenoise.filters.group_noise`). Rician
    and photon noise want a variance stabilisation around it.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis; across thick slices blocks are thinner.
        sigma_noise: standard deviation of the noise in image units; estimated if None.
        correlation: of the noise between a voxel and its neighbours; white noise if None.
        search: how far similar blocks may lie in each direction, in voxels of the finest axis;
            four times as far in a picture.
        group: how many similar blocks are filtered together, a power of two.
        refine: correct the result by its expected error, :func:`meddenoise.filters.refine.refined`:
            twice the time. Only for noise that is white: where k-space was filled with zeros, even
            to 95 %, noise would come back. Where it is seen to be correlated it is left out, with a
            warning.

    Returns:
        An array of the same shape and dtype; a copy of the image where sigma is below ``2^-23`` of
        how far most voxels are from their mean, or ``1e-15`` of how far any is.

    Raises:
        ParameterError: an impossible option, or an image too small to estimate its noise.
    """
    if search < 1:
        raise ParameterError(f"search is {search}: it is at least 1 voxel.")
    if group < 1 or group & (group - 1):
        raise ParameterError(f"group is {group}: it is a power of two (8, 16, 32).")
    sigma = estimate_sigma(array, correlation=correlation) if sigma_noise is None else sigma_noise
    if sigma == 0:
        return array.copy()
    coloured = correlation is not None and not correlation.white
    if refine and coloured:
        warnings.warn(
            "The noise is correlated between voxels, and refine=true would take it for image: it "
            "is left out.",
            stacklevel=2,
        )
    elif refine:
        plain = partial(bm4d, spacing=spacing, sigma_noise=sigma, search=search, group=group)
        return refined(plain, array, sigma, spacing=spacing)
    return _filtered(array, None, _blocks(array.shape, spacing, search), sigma, correlation, group)


def around(
    array: NDArray[np.floating],
    guide: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float,
    correlation: Correlation | None = None,
    search: int = 3,
    group: int = 16,
    block: int | None = None,
) -> NDArray[np.floating]:
    """The second pass of :func:`bm4d` around another estimate of the image than its first pass.

    Args:
        array: as there.
        guide: the estimate, which says what is alike and how strong; the same shape and unit.
        spacing, sigma_noise, correlation, search, group: as there.
        block: voxels of a block along the axes where they are finest; as there if None.

    Returns:
        An array of the same shape and dtype.
    """
    blocks = _blocks(array.shape, spacing, search, block)
    return _filtered(array, guide, blocks, sigma_noise, correlation, group)


def _filtered(
    array: NDArray[np.floating],
    guide: NDArray[np.floating] | None,
    blocks: Blocks,
    sigma: float,
    correlation: Correlation | None,
    group: int,
) -> NDArray[np.floating]:
    """Both passes, or the second around a guide."""
    import torch

    flat = array.ndim == 2  # filtered as (X, 1, Y), where runs in memory are long
    centre = float(np.mean(array, dtype=np.float64))
    if _is_lost(sigma, array, centre):
        return array.copy()
    noise = GroupNoise.of(blocks, _along(correlation, array.ndim))

    def scaled(image: NDArray[np.floating]) -> Tensor:
        # In units of sigma: so a threshold is a number, and single precision enough.
        values = (np.asarray(image[:, None] if flat else image, dtype=np.float64) - centre) / sigma
        return torch.from_numpy(values.astype(np.float32))

    noisy = scaled(array)
    with torch.inference_mode():
        if guide is None:
            first = blocks if flat else _denser(blocks)
            basic = _pass(noisy, None, first, group, noise)
        else:
            basic = scaled(guide)
        final = _pass(noisy, basic, blocks, group, noise)
    result = final.numpy().astype(np.float64) * sigma + centre
    return np.asarray(result[:, 0] if flat else result, dtype=array.dtype)


def _is_lost(sigma: float, array: NDArray[np.floating], centre: float) -> bool:
    """Whether noise is too weak to be seen beside the intensities, in single precision."""
    farthest = max(float(array.max()) - centre, centre - float(array.min()))
    if sigma >= _ROUNDING * farthest:
        return False
    # A fitted map has voxels of any size, which are not to keep noise in all others.
    usual = float(np.median(np.abs(array - centre)))
    return sigma < max(_ROUNDING * usual, _SQUARED * farthest)


def _along(correlation: Correlation | None, dims: int) -> list[tuple[float, ...]]:
    """The correlation along each of the three axes that blocks have."""
    along = [() if correlation is None else correlation.along(axis) for axis in range(dims)]
    return along if dims == 3 else [along[0], (), along[1]]


def _blocks(
    shape: Sequence[int], spacing: Sequence[float], search: int, block: int | None = None
) -> Blocks:
    """Blocks that span about the same millimetres on every axis, and no more than the image."""
    if len(shape) == 2:
        side = block or 8
        sizes, steps, reach = [side, 1, side], [3, 1, 3], [4 * search, 0, 4 * search]
    else:
        sizes, steps, reach = [], [], []
        for step in spacing:
            thick = step / min(spacing)
            sizes.append(4 if thick < 1.5 else 2 if thick < 4.5 else 1)
            steps.append(3 if sizes[-1] == 4 else 1)
            reach.append(max(1, round(search / thick)))
        # Blocks with few voxels say little of what is alike: they grow where voxels are fine.
        wide = 4 if math.prod(sizes) == 64 else 5 if math.prod(sizes) == 32 else 6
        if block is not None:
            steps = [
                round(2 * block / 3) if n == 4 else s for n, s in zip(sizes, steps, strict=True)
            ]
        sizes = [(block or wide) if n == 4 else n for n in sizes]
    length = shape if len(shape) == 3 else (shape[0], 1, shape[1])
    sizes = [min(b, n) for b, n in zip(sizes, length, strict=True)]
    steps = [min(s, b) for s, b in zip(steps, sizes, strict=True)]
    reach = [min(r, n - b) for r, n, b in zip(reach, length, sizes, strict=True)]
    return Blocks(_three(sizes), _three(steps), _three(reach))


def _denser(blocks: Blocks) -> Blocks:
    """More reference blocks for the first pass, which guides the second: worth 0.15 dB there.

    Smaller steps in the second pass cost more and gain less; in pictures neither is worth it.
    """
    return replace(blocks, step=_three([min(2, step) for step in blocks.step]))


def _three(values: Sequence[int]) -> tuple[int, int, int]:
    x, y, z = values
    return x, y, z


def _pass(
    noisy: Tensor, guide: Tensor | None, blocks: Blocks, group: int, noise: GroupNoise
) -> Tensor:
    """One pass over ``(X, Y, Z)`` with noise of sigma 1, tile by tile.

    Tiles are independent but for the sums that overlapping blocks add to, so the result is that of
    one piece.
    """
    import torch
    from torch.nn import functional as F

    size = noisy.shape
    # Reference blocks end at the far border exactly: the image is continued up to there.
    more = [-(n - b) % s for n, b, s in zip(size, blocks.shape, blocks.step, strict=True)]
    pads = [p for m in reversed(more) for p in (0, m)]
    noisy = F.pad(noisy[None, None], pads, mode="replicate")[0, 0]
    if guide is not None:
        guide = F.pad(guide[None, None], pads, mode="replicate")[0, 0]
    group = min(group, 2 ** int(math.log2(blocks.candidates(noisy.shape))))
    total, weight = torch.zeros(noisy.shape), torch.zeros(noisy.shape)

    def filtered(tile: Tile) -> tuple[Tensor, Tensor]:
        expected = None if guide is None else guide[tile.seen]
        return _tile(noisy[tile.seen], expected, blocks, group, noise, tile.own)

    tiles = blocks.tiles(noisy.shape, _TILE_VOXELS)
    for tile, sums in zip(tiles, in_threads(filtered, tiles), strict=True):
        total[tile.seen] += sums[0]
        weight[tile.seen] += sums[1]
    return (total / weight)[tuple(slice(0, n) for n in size)]


def _tile(
    noisy: Tensor,
    guide: Tensor | None,
    blocks: Blocks,
    group: int,
    noise: GroupNoise,
    own: Sequence[range],
) -> tuple[Tensor, Tensor]:
    """The weighted sum of filtered blocks and of their weights, for some references."""
    import torch

    size = noisy.shape
    matched = match_blocks(noisy if guide is None else guide, blocks, group, own)
    coefficients = blocks.analyse(noisy)
    expected = None if guide is None else blocks.analyse(guide)
    total = torch.zeros_like(coefficients)
    weight = torch.zeros(len(coefficients))
    haar = haar_matrix(group)
    for part in matched.split(_GROUPS):
        where = part.reshape(-1)
        stack = torch.matmul(haar, coefficients[where].view(len(part), group, -1))
        variances = noise.variances(part, size)
        if expected is None:
            trust = _threshold(stack, variances)
        else:
            guess = torch.matmul(haar, expected[where].view_as(stack))
            trust = _wiener(stack, guess, variances)
        back = torch.matmul(haar.t().contiguous(), stack).mul_(trust[:, None, None])
        total.index_add_(0, where, back.view(len(where), -1))
        weight.index_add_(0, where, trust[:, None].expand(part.shape).reshape(-1))
    window = kaiser_window(blocks.shape)
    return blocks.synthesise(total, window, size), blocks.spread(weight.view(size), window)


def _threshold(stack: Tensor, variances: Tensor) -> Tensor:
    """Remove small coefficients in place, never the mean; the inverse of the noise kept."""
    least = _THRESHOLD * variances.sqrt()
    kept = stack.abs() > least[:, -1:]
    if variances.shape[1] > 1:
        kept[:, 0] = stack[:, 0].abs() > least[:, 0]
    kept[:, 0, 0] = True
    stack.mul_(kept)
    return _trust(kept, variances)


def _wiener(stack: Tensor, expected: Tensor, variances: Tensor) -> Tensor:
    """Shrink in place by the expected strength; the inverse of the noise kept."""
    share = expected.square_()
    if variances.shape[1] > 1:
        first = share[:, 0] / (share[:, 0] + variances[:, 0])
        share.div_(share + variances[:, 1:])
        share[:, 0] = first
    else:
        share.div_(share + variances)
    share[:, 0, 0] = 1
    stack.mul_(share)
    return _trust(share.square_(), variances)


def _trust(kept: Tensor, variances: Tensor) -> Tensor:
    """One over the noise in groups, of which so much was kept of each coefficient."""
    if variances.shape[1] > 1:
        mean, rest = kept[:, 0] * variances[:, 0], kept[:, 1:].sum(1) * variances[:, 1]
        return 1 / (mean + rest).sum(1)
    return 1 / (kept.sum(1).float() @ variances[0, 0])
