"""Additive Gaussian noise: complex or real-valued MR data, and any other white noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddenoise.noise.draws import checked_parameter, standard_normal, working
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["gaussian"]


@register_noise("gaussian", levels=("sigma",), deviation="sigma")
def gaussian(
    x: Tensor, sigma: float | Tensor, *, generator: torch.Generator | None = None
) -> Tensor:
    """White noise: ``y = x + sigma n`` with n ~ N(0, 1), independent in every voxel.

    Of complex data, the real and the imaginary channel get such noise each.

    Args:
        x: an image or batch of any shape, floating point or complex; not modified.
        sigma: standard deviation in image units, at least 0; of complex data that of each
            channel. A number, or a tensor that broadcasts to ``x`` such as ``(B, 1, 1, 1, 1)``.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device. Mean x, variance sigma^2 (in each
        channel).

    Raises:
        ParameterError: a negative or non-finite sigma, or one that does not broadcast.
    """
    import torch

    if torch.is_complex(x):
        channels = (gaussian(part, sigma, generator=generator) for part in (x.real, x.imag))
        return torch.complex(*channels)
    clean = working(x)
    level = checked_parameter("sigma", sigma, clean, unit="standard deviation in image units")
    return (clean + level * standard_normal(clean, generator)).to(x.dtype)
