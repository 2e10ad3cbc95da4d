"""From one level to the next coarser one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from meddenoise.networks.layers import without_autocast

__all__ = ["max_blur_pool", "max_pool"]


def max_pool(x: Tensor, step: Sequence[int]) -> Tensor:
    """The largest value of each cell of ``step`` voxels; ``(B, C, *spatial)``."""
    pool = F.max_pool2d if x.ndim == 4 else F.max_pool3d
    # Autocast would make it float32 first: a maximum is exact in any precision.
    with without_autocast(x.device.type):
        return pool(x, tuple(step))


def max_blur_pool(x: Tensor, step: Sequence[int]) -> Tensor:
    """The maximum at every voxel, then a binomial filter, and only then fewer voxels.

    Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019, section 3.2, as N2V2
    has it (Höck et al., ECCV Workshops 2022): without the filter every other voxel is taken as it
    is, and the upsampled result shows the pattern of the grid.

    Args:
        x: ``(B, C, *spatial)``; every axis a multiple of its step. What lies beyond the border
            is the border.
        step: voxels of a cell per axis; the maximum is over as many, the filter is 1 2 1 along
            axes that shrink.
    """
    pads = [pad for s in reversed(step) for pad in (0, s - 1)]
    pool = F.max_pool2d if x.ndim == 4 else F.max_pool3d
    y = pool(F.pad(x, pads, mode="replicate"), tuple(step), stride=1)
    for axis, s in enumerate(step, start=2):
        if s > 1:
            y = _blurred(y, axis, s)
    return y


def _blurred(x: Tensor, axis: int, step: int) -> Tensor:
    """1 2 1 over 4 at every ``step``-th voxel of an axis."""
    size = x.shape[axis]
    wide = [0] * (2 * (x.ndim - 2))
    place = 2 * (x.ndim - 1 - axis)
    wide[place] = wide[place + 1] = 1
    padded = F.pad(x, wide, mode="replicate")
    cut: list[slice] = [slice(None)] * x.ndim

    def taken(offset: int) -> Tensor:
        cut[axis] = slice(offset, offset + size, step)
        return padded[tuple(cut)]

    return (taken(0) + 2 * taken(1) + taken(2)) / 4
