"""Additive Gaussian noise: complex or real-valued MR data, and any other white noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddenoise.noise.draws import checked_parameter, standard_normal, working
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["gaussian"]


@register_noise("gaussian", levels=("sigma",))
def gaussian(
    x: Tensor, sigma: float | Tensor, *, generator: torch.Generator | None = None
) -> Tensor:
    """``y = x + sigma n`` with n ~ N(0, 1), independent in every voxel.

    Args:
        x: an image or batch of any shape, floating point; not modified.
        sigma: standard deviation in ``x``'s units, at least 0; a number, or a tensor that
            broadcasts to ``x`` such as ``(B, 1, 1, 1, 1)``.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device. Mean x, variance sigma^2.

    Raises:
        ParameterError: a negative or non-finite sigma, or one that does not broadcast.
    """
    clean = working(x)
    level = checked_parameter("sigma", sigma, clean, unit="standard deviation in image units")
    return (clean + level * standard_normal(clean, generator)).to(x.dtype)
