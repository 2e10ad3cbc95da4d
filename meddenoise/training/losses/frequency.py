"""Losses that compare patches frequency by frequency.

The squared error of the spectrum is that of the voxels (Parseval), so these take other powers of
it. Transforms are unitary: a difference of white noise has the same size before and after. Where
nothing was measured there is no difference.
"""

from __future__ import annotations

import torch
from torch import Tensor

from meddenoise.training.losses.compared import Compared
from meddenoise.training.losses.registry import register_loss

__all__ = ["focal_frequency", "frequency"]


def _spectrum(pair: Compared) -> Tensor:
    """Magnitude of the difference's Fourier transform, ``(B, 1, *patch)``."""
    difference = pair.output - pair.target
    axes = tuple(range(2, difference.ndim))
    return torch.fft.fftn(difference, dim=axes, norm="ortho").abs()


@register_loss("frequency")
def frequency(pair: Compared) -> Tensor:
    """Mean magnitude of the difference's spectrum (Cho et al., ICCV 2021, equation 4).

    Like an absolute error of the frequencies: weak high ones weigh more than in ``l2``.
    """
    return _spectrum(pair).flatten(1).mean(1)


@register_loss("focal_frequency")
def focal_frequency(pair: Compared) -> Tensor:
    """Squared magnitudes, weighted by themselves (Jiang et al., ICCV 2021, equations 8 and 9).

    Weights are magnitudes as shares of each patch's largest, without gradient: what is wrong by
    most is learned first.
    """
    magnitude = _spectrum(pair).flatten(1)
    weight = magnitude.detach()
    weight = weight / weight.amax(1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)
    return (weight * magnitude.square()).mean(1)
