"""The step up of a U-Net: coarse features on the finer grid, side by side with the skip's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from meddenoise.networks.layers import is_exported

__all__ = ["grown", "grown_beside"]


def grown(y: Tensor, step: Sequence[int]) -> Tensor:
    """``(B, C, *coarse)``, each voxel repeated over a cell of ``step`` voxels."""
    return F.interpolate(y, scale_factor=tuple(map(float, step)), mode="nearest")


def grown_beside(y: Tensor, step: Sequence[int], skip: Tensor) -> Tensor:
    """``(B, C + D, *spatial)``: ``y`` as by :func:`grown`, and after it ``skip``.

    For inference on a CPU each is written to where it belongs; a tensor of the repeated voxels that
    is only read once more would cost a third of this step.

    Args:
        y: ``(B, C, *coarse)``.
        step: voxels of a cell per axis.
        skip: ``(B, D, *spatial)``.
    """
    if (
        torch.is_grad_enabled()
        or is_exported()
        or y.device.type != "cpu"
        or y.dtype != skip.dtype
        or not all(_channels_last(t) for t in (y, skip))
    ):
        return torch.cat([grown(y, step), skip], dim=1)
    coarse, channels = y.shape[2:], y.shape[1]
    # Channels last, as both are.
    out = y.new_empty(len(y), *skip.shape[2:], channels + skip.shape[1])
    out[..., channels:] = skip.movedim(1, -1)
    cells = [n for pair in zip(coarse, step, strict=True) for n in pair]
    once = y.movedim(1, -1)
    for axis in range(len(step)):
        once = once.unsqueeze(2 + 2 * axis)
    out[..., :channels].view(len(y), *cells, channels).copy_(once)
    return out.movedim(-1, 1)


def _channels_last(x: Tensor) -> bool:
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    return x.is_contiguous(memory_format=layout)
