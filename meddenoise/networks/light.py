"""A small network for CPUs: it works on a coarser grid that holds all voxels as channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from meddenoise.errors import ConfigError
from meddenoise.networks.layers import conv, crop_to, pad_to_multiple, start_as_zero
from meddenoise.networks.registry import register_network

__all__ = ["LightNet", "shuffle", "unshuffle"]


def unshuffle(x: Tensor, cell: Sequence[int]) -> Tensor:
    """``(B, C, *spatial)`` to ``(B, prod(cell) * C, *coarse)``: a cell's voxels as channels.

    Torch's ``pixel_unshuffle`` for any number of axes and cells of any shape; the place in the cell
    counts slower than the channel. Channels last in memory, where oneDNN wants them.
    """
    channels, sizes = x.shape[1], [n // c for n, c in zip(x.shape[2:], cell, strict=True)]
    dims = len(cell)
    parts = x.reshape(
        len(x), channels, *(n for pair in zip(sizes, cell, strict=True) for n in pair)
    )
    # (B, coarse, cell, C): contiguous here is channels-last.
    order = [0, *range(2, 2 + 2 * dims, 2), *range(3, 3 + 2 * dims, 2), 1]
    last = parts.permute(order).reshape(len(x), *sizes, math.prod(cell) * channels)
    return last.movedim(-1, 1)


def shuffle(x: Tensor, cell: Sequence[int]) -> Tensor:
    """``(B, prod(cell) * C, *coarse)`` to ``(B, C, *spatial)``: undoes :func:`unshuffle`."""
    dims, sizes = len(cell), x.shape[2:]
    channels = x.shape[1] // math.prod(cell)
    parts = x.movedim(1, -1).reshape(len(x), *sizes, *cell, channels)
    # (B, C, coarse and cell in turn).
    turns = [axis for pair in zip(range(1, 1 + dims), range(1 + dims, 1 + 2 * dims), strict=True)
             for axis in pair]  # fmt: skip
    spatial = [n * c for n, c in zip(sizes, cell, strict=True)]
    return parts.permute(0, 1 + 2 * dims, *turns).reshape(len(x), channels, *spatial)


@register_network("light")
class LightNet(nn.Module):
    """Convolutions on cells of voxels, fast on CPUs (FFDNet, Zhang et al., IEEE TIP 27(9), 2018).

    Figure 1 of "FFDNet: Toward a Fast and Flexible Solution for CNN-Based Image Denoising", without
    its batch norm. Every cell of 2 x 2 x 2 voxels becomes one place with 8 channels, so a
    convolution costs an eighth and sees twice as far, and no voxel is lost.

    Args:
        dims: 2 or 3.
        depth: number of convolutions, 2 or more.
        width: feature channels.
        cell: voxels of a cell: one number, or one for each axis (``[2, 2, 1]`` for thick slices).
        residual: predict the difference from the input; for supervised training.
        inputs: channels of the input, of which the first is the image.

    Raises:
        ConfigError: an impossible depth, width or cell.
    """

    def __init__(
        self,
        dims: int = 3,
        depth: int = 7,
        width: int = 24,
        cell: int | Sequence[int] = 2,
        residual: bool = False,
        inputs: int = 1,
    ) -> None:
        super().__init__()
        if depth < 2 or width < 1:
            raise ConfigError(
                f"A light network has at least 2 layers and 1 feature channel, not {depth} and "
                f"{width}."
            )
        self.cell = (cell,) * dims if isinstance(cell, int) else tuple(cell)
        if len(self.cell) != dims or min(self.cell) < 1:
            raise ConfigError(
                f"network.cell is one number or {dims} numbers of at least 1, not {cell}."
            )
        parts = math.prod(self.cell)
        self.residual = residual
        widths = [inputs * parts, *[width] * (depth - 1)]
        self.body = nn.ModuleList(
            conv(dims, above, here)
            for above, here in zip(widths, [*widths[1:], parts], strict=True)
        )
        if residual:
            start_as_zero(self.body[-1])
        self.multiple = self.cell
        self.halo = tuple(depth * c + c - 1 for c in self.cell)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, *spatial)`` to ``(B, 1, *spatial)``."""
        size = x.shape[2:]
        padded = pad_to_multiple(x, self.multiple)
        y = unshuffle(padded, self.cell)
        for number, layer in enumerate(self.body, start=1):
            y = layer(y)
            if number < len(self.body):
                y = torch.relu_(y)
        y = shuffle(y, self.cell)
        return crop_to(padded[:, :1] + y if self.residual else y, size)
