"""Losses that compare voxel with voxel, in normalised intensities."""

from __future__ import annotations

from torch import Tensor

from meddenoise.training.losses.compared import Compared
from meddenoise.training.losses.registry import register_loss

__all__ = ["charbonnier", "l1", "l2"]


@register_loss("l2")
def l2(pair: Compared) -> Tensor:
    """Squared error: the best PSNR, and the mean of all truths that are possible."""
    return pair.mean((pair.output - pair.target).square())


@register_loss("l1")
def l1(pair: Compared) -> Tensor:
    """Absolute error: the median of all truths, with sharper edges."""
    return pair.mean((pair.output - pair.target).abs())


@register_loss("charbonnier")
def charbonnier(pair: Compared) -> Tensor:
    """sqrt(d^2 + 1e-6), an absolute error that is smooth at 0 (Lai et al., CVPR 2017)."""
    return pair.mean(((pair.output - pair.target).square() + 1e-6).sqrt())
