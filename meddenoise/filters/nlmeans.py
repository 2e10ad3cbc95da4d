"""Non-local means."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.registry import register_filter
from meddenoise.filters.spacing import THICK, relative_spacing
from meddenoise.filters.threads import in_threads, keep_on
from meddenoise.noise.wavelet_mad import estimate_sigma

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["nlmeans"]

# Voxels whose distances are taken at once: few enough to stay in the cache.
_CACHED = 2**17


@register_filter("nlmeans", noise=True)
def nlmeans(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    search: int = 2,
    strength: float = 0.9,
    rician: bool = False,
) -> NDArray[np.floating]:
    """Non-local means: the mean of nearby voxels whose surroundings look alike.

    After Buades et al., CVPR 2005. A neighbour counts by ``exp(-max(d - 2, 0) / strength^2)``, d
    being the mean squared difference of the patches around it and around the voxel, in units of
    sigma^2; noise alone gives 2. The voxel itself counts as much as its best neighbour.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis; of thick slices, patches are one slice deep and 5
            voxels wide instead of 3.
        sigma_noise: standard deviation of the noise in image units (of each of the two channels,
            where the noise is Rician); estimated if None.
        search: how far neighbours may lie in each direction, in voxels of the finest axis; twice
            as far in thick slices (and across them as many millimetres), three times in a picture.
        strength: how different surroundings may be; see above.
        rician: average the squares and take off ``2 sigma^2`` (Wiest-Daessle et al., MICCAI
            2008), which corrects the bias of a magnitude MR image with Rician noise.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: search below 1 or strength not above 0; the noise is not given and the
            image too small to estimate it.
    """
    import torch

    if search < 1:
        raise ParameterError(f"search is {search}: it is at least 1 voxel.")
    if not (math.isfinite(strength) and strength > 0):
        raise ParameterError(f"strength is {strength:g}: it is above 0.")
    sigma = estimate_sigma(array) if sigma_noise is None else sigma_noise
    if sigma == 0:
        return array.copy()
    flat = array.ndim == 2  # filtered as (X, 1, Y), where runs in memory are long
    shape = (array.shape[0], 1, array.shape[1]) if flat else array.shape
    if flat:
        patch, reach = [2, 0, 2], [3 * search, 0, 3 * search]
    else:
        sides = relative_spacing(spacing)
        # Patches with few voxels say little of what is alike: they grow where voxels are fine.
        radius, far = (2, 2 * search) if max(sides) > THICK else (1, search)
        patch = [radius if side <= THICK else 0 for side in sides]
        reach = [max(round(far / side), int(side <= THICK)) for side in sides]
    # What lies beyond is the border over and over.
    reach = [min(r, n - 1) for r, n in zip(reach, shape, strict=True)]
    # In units of sigma, and single precision enough, as squares need where 0 is.
    centre = 0.0 if rician else float(np.mean(array, dtype=np.float64))
    scaled = (np.asarray(array[:, None] if flat else array, dtype=np.float64) - centre) / sigma
    noisy = torch.from_numpy(scaled.astype(np.float32))
    with torch.inference_mode():
        means = _means(noisy, noisy.square() if rician else noisy, patch, reach, strength)
        if rician:
            means = means.sub_(2).clamp_(min=0).sqrt_()
    result = means.numpy().astype(np.float64) * sigma + centre
    return np.asarray(result[:, 0] if flat else result, dtype=array.dtype)


def _means(
    noisy: Tensor, values: Tensor, patch: Sequence[int], reach: Sequence[int], strength: float
) -> Tensor:
    """The weighted means of ``values``, some planes at a time; both ``(X, Y, Z)``."""
    import torch
    from torch.nn import functional as F

    pads = [p for r, k in zip(reversed(reach), reversed(patch), strict=True) for p in (r + k,) * 2]
    noisy = F.pad(noisy[None, None], pads, mode="replicate")[0, 0]
    padded = F.pad(values[None, None], pads, mode="replicate")[0, 0]
    deep = max(1, _CACHED // values[0].numel())
    around = 2 * (reach[0] + patch[0])

    def some(first: int) -> Tensor:
        planes = slice(first, min(first + deep, len(values)) + around)
        return _some_means(noisy[planes], padded[planes], patch, reach, strength)

    return torch.cat(list(in_threads(some, range(0, len(values), deep))))


def _some_means(
    noisy: Tensor, values: Tensor, patch: Sequence[int], reach: Sequence[int], strength: float
) -> Tensor:
    """The weighted means inside the border of ``reach + patch`` voxels."""
    import torch

    border = [r + k for r, k in zip(reach, patch, strict=True)]
    size = [n - 2 * b for n, b in zip(noisy.shape, border, strict=True)]

    def view(image: Tensor, begin: Sequence[int], end: Sequence[int]) -> Tensor:
        """Voxels ``begin`` to ``end`` per axis, counted from inside the border."""
        return image[tuple(slice(b + i, b + j) for b, i, j in zip(border, begin, end, strict=True))]

    total, weight, largest = (torch.zeros(size) for _ in range(3))
    for shift in itertools.product(*(range(-r, r + 1) for r in reach)):
        if shift <= (0, 0, 0):
            continue
        keep_on()
        # Each pair of voxels serves both of them: so the pairs begin one shift earlier.
        begin = [min(0, -s) for s in shift]
        end = [n + max(0, -s) for n, s in zip(size, shift, strict=True)]
        low = [b - k for b, k in zip(begin, patch, strict=True)]
        high = [e + k for e, k in zip(end, patch, strict=True)]
        there = [[i + s for i, s in zip(at, shift, strict=True)] for at in (low, high)]
        difference = (view(noisy, low, high) - view(noisy, *there)).square_()
        alike = _alike(difference, patch, strength)
        for sign in (1, -1):
            start = [-b - (s if sign < 0 else 0) for b, s in zip(begin, shift, strict=True)]
            part = alike[tuple(slice(i, i + n) for i, n in zip(start, size, strict=True))]
            moved = [sign * s for s in shift]
            total.addcmul_(
                part, view(values, moved, [n + s for n, s in zip(size, moved, strict=True)])
            )
            weight += part
            torch.maximum(largest, part, out=largest)
    # A voxel like none of its neighbours stays what it is.
    largest[largest == 0] = 1
    total.addcmul_(largest, view(values, [0, 0, 0], size))
    return total / (weight + largest)


def _alike(difference: Tensor, patch: Sequence[int], strength: float) -> Tensor:
    """Weights from squared differences in units of sigma; smaller by the patch's border."""
    total = difference
    for axis, radius in enumerate(patch):
        span = total.shape[axis] - 2 * radius
        parts = [total.narrow(axis, k, span) for k in range(2 * radius + 1)]
        if len(parts) > 1:
            total = parts[0] + parts[1]
            for part in parts[2:]:
                total += part
    voxels = math.prod(2 * radius + 1 for radius in patch)
    return total.mul_(1 / voxels).sub_(2).clamp_(min=0).mul_(-1 / strength**2).exp_()
