"""A loss that weighs patches of any noise level alike."""

from __future__ import annotations

from torch import Tensor

from meddenoise.training.losses.compared import Compared
from meddenoise.training.losses.registry import register_loss

__all__ = ["log_l2"]

# Of the squared intensity unit: in what is nearly empty, errors below that do not count.
_FLOOR = 0.02


@register_loss("log_l2")
def log_l2(pair: Compared) -> Tensor:
    """log(1 + mean squared error / 0.02) of each patch, in normalised intensities: the mean PSNR.

    In units of the noise, what is left of weak noise is some ten times what is left of strong
    noise, so that the mean squared error would learn of the weak alone. Meant for such units.
    """
    return (pair.mean((pair.output - pair.target).square()) / _FLOOR).log1p()
