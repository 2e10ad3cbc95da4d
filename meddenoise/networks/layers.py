"""The few layers that differ between 2-D and 3-D."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["conv", "crop_to", "pad_to_multiple", "start_as_zero"]


def conv(dims: int, inputs: int, outputs: int, kernel: int = 3, bias: bool = True) -> nn.Module:
    """A size-keeping convolution over 2 or 3 axes, zero-padded, with He initialisation."""
    layer = (nn.Conv2d if dims == 2 else nn.Conv3d)(
        inputs, outputs, kernel, padding=kernel // 2, bias=bias
    )
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def start_as_zero(layer: nn.Module) -> nn.Module:
    """The layer with all-zero parameters, so that a residual network starts as the identity."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    return layer


def pad_to_multiple(x: Tensor, multiples: Sequence[int]) -> Tensor:
    """``(B, C, *spatial)``, its far ends repeated up to a multiple of so many voxels per axis."""
    pads: list[int] = []
    for size, multiple in zip(reversed(x.shape[2:]), reversed(multiples), strict=True):
        pads += [0, -size % multiple]
    return F.pad(x, pads, mode="replicate") if any(pads) else x


def crop_to(x: Tensor, spatial: Sequence[int]) -> Tensor:
    """The first ``spatial`` voxels per axis: undoes :func:`pad_to_multiple`."""
    return x[(slice(None), slice(None), *(slice(0, n) for n in spatial))]
