"""Structural similarity as a loss: 1 - SSIM and 1 - MS-SSIM, by the conventions of evaluation.

A Gaussian window of sigma 1.5 and 11 taps, K1 0.01, K2 0.03, population covariance; over all axes
of a patch that have 11 voxels, so 3-D in 3-D. The data range is that of each patch's scan (99.9th
minus 0.1th percentile of the clean one), and intensities are the scan's, with its own zero: the
values are those of :func:`meddenoise.evaluation.ssim` with that data range.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from meddenoise.errors import ParameterError
from meddenoise.training.losses.compared import Compared
from meddenoise.training.losses.registry import register_loss

__all__ = ["ms_ssim", "ssim"]

_SIGMA, _TAPS = 1.5, 11
_BORDER = _TAPS // 2
_C1, _C2 = 0.01**2, 0.03**2
# Wang, Simoncelli and Bovik, Asilomar 2003, section 3.2: finest scale first.
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@register_loss("ssim")
def ssim(pair: Compared) -> Tensor:
    """1 - SSIM (Wang et al., IEEE TIP 13:600, 2004), over voxels whose window lies in the patch.

    Raises:
        ParameterError: no axis of the patch has 11 voxels.
    """
    output, target = pair.in_ranges()
    axes = _axes(output)
    structure, luminance = _similarity(output, target, axes)
    similarity = structure * luminance
    if pair.valid is None:
        return 1 - similarity.flatten(1).mean(1)
    return ((1 - similarity) * _inner(pair.valid, axes)).flatten(1).mean(1)


@register_loss("ms_ssim")
def ms_ssim(pair: Compared) -> Tensor:
    """1 - MS-SSIM (Wang, Simoncelli and Bovik, Asilomar 2003, equation 7).

    Of the paper's five scales those that the patch has room for, with the weights of the paper
    made to add up to 1: three for 64 voxels. Negative correlations count as none.

    Raises:
        ParameterError: no axis of the patch has 11 voxels.
    """
    output, target = pair.in_ranges()
    valid = None if pair.valid is None else pair.valid.to(output.dtype)
    measured = 1.0 if valid is None else valid.flatten(1).mean(1)
    axes = _axes(output)
    room = min(output.shape[axis] for axis in axes)
    scales = max(s for s in range(1, len(_WEIGHTS) + 1) if room // 2 ** (s - 1) >= _TAPS)
    weights = [weight / sum(_WEIGHTS[:scales]) for weight in _WEIGHTS[:scales]]
    product = torch.ones(len(output), device=output.device)
    for scale, weight in enumerate(weights, start=1):
        structure, luminance = _similarity(output, target, axes)
        value = structure * luminance if scale == scales else structure
        mean = _mean(value, None if valid is None else _inner(valid, axes))
        # The power of 0 has no gradient.
        product = product * mean.clamp(min=1e-6) ** weight
        if scale < scales:
            output, target = _halved(output, axes), _halved(target, axes)
            valid = None if valid is None else _halved(valid, axes)
    return measured * (1 - product)


def _axes(x: Tensor) -> tuple[int, ...]:
    """Those that the window fits in."""
    axes = tuple(axis for axis in range(2, x.ndim) if x.shape[axis] >= _TAPS)
    if not axes:
        raise ParameterError(
            f"Patches of {tuple(x.shape[2:])} voxels are too small for SSIM, whose window has "
            f"{_TAPS}: give a larger data.patch, or another trainer.loss."
        )
    return axes


def _similarity(x: Tensor, y: Tensor, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Contrast with structure, and luminance, where the window is full: ``(B, 1, *inner)``."""
    sums = _windowed(torch.cat([x, y, x * x, y * y, x * y]), axes)
    mean_x, mean_y, square_x, square_y, product = sums.chunk(5)
    variances = square_x - mean_x**2 + square_y - mean_y**2
    covariance = product - mean_x * mean_y
    structure = (2 * covariance + _C2) / (variances + _C2)
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return structure, luminance


def _windowed(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Gaussian means, axis by axis, without the border that the window does not fill."""
    place = torch.arange(_TAPS, dtype=x.dtype, device=x.device) - _BORDER
    window = torch.exp(-(place**2) / (2 * _SIGMA**2))
    window = window / window.sum()
    convolve = F.conv2d if x.ndim == 4 else F.conv3d
    for axis in axes:
        shape = [1] * x.ndim
        shape[axis] = _TAPS
        x = convolve(x, window.view(shape))
    return x


def _inner(x: Tensor, axes: Sequence[int]) -> Tensor:
    """``x`` where the window is full."""
    cut = [slice(None)] * x.ndim
    for axis in axes:
        cut[axis] = slice(_BORDER, x.shape[axis] - _BORDER)
    return x[tuple(cut)]


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """``(B,)``; 1, that is no difference, of a patch without a measured voxel."""
    if weights is None:
        return values.flatten(1).mean(1)
    total = weights.flatten(1).sum(1)
    mean = (values * weights).flatten(1).sum(1) / total.clamp(min=1e-6)
    return torch.where(total > 0, mean, 1.0)


def _halved(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Means of two voxels along each of the axes."""
    size = [2 if axis in axes else 1 for axis in range(2, x.ndim)]
    pool = F.avg_pool2d if x.ndim == 4 else F.avg_pool3d
    return pool(x, size)
