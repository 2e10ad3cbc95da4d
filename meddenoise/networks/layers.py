"""The few layers that differ between 2-D and 3-D."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "conv",
    "crop_to",
    "is_autocast",
    "is_exported",
    "pad_to_multiple",
    "shrink",
    "start_as_zero",
    "widen",
    "without_autocast",
]


def conv(
    dims: int, inputs: int, outputs: int, kernel: int = 3, bias: bool = True, groups: int = 1
) -> nn.Module:
    """A size-keeping convolution over 2 or 3 axes, zero-padded, with He initialisation."""
    kind = nn.Conv2d if dims == 2 else nn.Conv3d
    layer = kind(inputs, outputs, kernel, padding=kernel // 2, bias=bias, groups=groups)
    return _he(layer, nonlinearity="relu")


def _he(layer: nn.Conv2d | nn.Conv3d, nonlinearity: Literal["relu", "linear"]) -> nn.Module:
    nn.init.kaiming_normal_(layer.weight, nonlinearity=nonlinearity)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def shrink(dims: int, inputs: int, outputs: int, step: Sequence[int], bias: bool) -> nn.Module:
    """A convolution that makes one voxel of every cell of ``step`` voxels."""
    kind: Any = nn.Conv2d if dims == 2 else nn.Conv3d
    layer = kind(inputs, outputs, tuple(step), stride=tuple(step), bias=bias)
    return _he(layer, nonlinearity="linear")


def widen(dims: int, inputs: int, outputs: int, step: Sequence[int], bias: bool) -> nn.Module:
    """The transposed convolution that makes a cell of ``step`` voxels of every voxel."""
    kind: Any = nn.ConvTranspose2d if dims == 2 else nn.ConvTranspose3d
    layer = kind(inputs, outputs, tuple(step), stride=tuple(step), bias=bias)
    # Every output voxel has one voxel below it, so its fan-in is the number of channels.
    nn.init.normal_(layer.weight, 0, inputs**-0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return cast("nn.Module", layer)


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


def is_exported() -> bool:
    """Whether a network is being written down for others, to whom convolutions say it shortest."""
    exporting = getattr(torch.compiler, "is_exporting", lambda: False)
    return bool(exporting()) or torch.jit.is_tracing()


def is_autocast(device: str) -> bool:
    """Whether autocast is in force for a kind of device; some kinds know none."""
    return device in ("cpu", "cuda") and torch.is_autocast_enabled(device)


def without_autocast(device: str) -> AbstractContextManager[object]:
    """Computes in the precision that comes in."""
    return torch.autocast(device, enabled=False) if is_autocast(device) else nullcontext()
