"""A small network for CPUs: it works on a coarser grid that holds all voxels as channels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from meddenoise.errors import ConfigError
from meddenoise.networks.layers import (
    conv,
    crop_to,
    is_exported,
    pad_to_multiple,
    start_as_zero,
)
from meddenoise.networks.registry import register_network
from meddenoise.networks.unet import UNet

__all__ = ["LightNet", "shuffle", "unshuffle"]


def unshuffle(x: Tensor, cell: Sequence[int]) -> Tensor:
    """``(B, C, *spatial)`` to ``(B, prod(cell) * C, *coarse)``: a cell's voxels as channels.

    Torch's ``pixel_unshuffle`` for any number of axes and cells of any shape; the place in the cell
    counts slower than the channel. Channels last in memory, where oneDNN wants them.
    """
    channels, sizes = x.shape[1], [n // c for n, c in zip(x.shape[2:], cell, strict=True)]
    dims = len(cell)
    if channels == 1 and cell[-1] == 2 and _in_pairs(x):
        return _paired(x, sizes, cell)
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


def _in_pairs(x: Tensor) -> bool:
    """Whether two voxels can be copied as one number of twice the width."""
    return (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.stride(-1) == 1
        and x.is_contiguous()
        # Of axes of one voxel, too, which is_contiguous() does not look at.
        and not any(n % 2 for n in (x.shape[-1], x.storage_offset(), *x.stride()[:-1]))
        and not torch.is_grad_enabled()
        and not is_exported()
    )


def _paired(x: Tensor, sizes: Sequence[int], cell: Sequence[int]) -> Tensor:
    """:func:`unshuffle` in a quarter of the time: in long rows, and two voxels at once."""
    pairs = x.view(torch.float64).view(
        len(x), *(n for pair in zip(sizes[:-1], cell[:-1], strict=True) for n in pair), sizes[-1]
    )
    out = pairs.new_empty(len(x), *sizes, math.prod(cell[:-1]))
    places = itertools.product(*map(range, cell[:-1]))
    for channel, place in enumerate(places):
        here: list[int | slice] = [slice(None)] * pairs.ndim
        here[2:-1:2] = place
        out[..., channel] = pairs[tuple(here)]
    return out.view(torch.float32).movedim(-1, 1)


@register_network("light")
class LightNet(nn.Module):
    """A U-Net on cells of voxels, fast on CPUs (cells as in FFDNet, IEEE TIP 27(9), 2018).

    Every cell of 2 x 2 x 2 voxels becomes one place with 8 channels, so a convolution costs an
    eighth and sees twice as far, and no voxel is lost (Zhang, Zuo and Zhang, "FFDNet: Toward a Fast
    and Flexible Solution for CNN-Based Image Denoising", section III). FFDNet has a plain chain of
    convolutions there; with as many weights and 20 s of CPU time on one noisy brain, that came to
    23.2 dB and the U-Net to 27.0.

    Args:
        dims: 2 or 3.
        channels: features per level, the level of the cells first.
        cell: voxels of a cell: one number, or one for each axis (``[2, 2, 1]`` for thick slices).
        strides: by how much each axis of cells shrinks from level to level; see :class:`UNet`.
        residual: predict the difference from the input; see :class:`UNet`.
        bias: give the convolutions biases; see there.
        inputs: channels of the input, of which the first is the image.

    Raises:
        ConfigError: an impossible cell, or as :class:`UNet`.
    """

    def __init__(
        self,
        dims: int = 3,
        channels: Sequence[int] = (20, 32),
        cell: int | Sequence[int] = 2,
        strides: Sequence[int | Sequence[int]] | None = None,
        residual: bool = False,
        bias: bool = True,
        inputs: int = 1,
    ) -> None:
        super().__init__()
        self.cell = (cell,) * dims if isinstance(cell, int) else tuple(cell)
        if len(self.cell) != dims or min(self.cell) < 1:
            raise ConfigError(
                f"network.cell is one number or {dims} numbers of at least 1, not {cell}."
            )
        parts = math.prod(self.cell)
        self.residual = residual
        self.body = UNet(dims, channels, strides, bias=bias, inputs=inputs * parts)
        self.body.out = conv(dims, channels[0], parts, kernel=1, bias=bias)
        if residual:
            start_as_zero(self.body.out)
        grid = zip(self.body.multiple, self.body.halo, self.cell, strict=True)
        sizes = [(multiple * c, halo * c + c - 1) for multiple, halo, c in grid]
        self.multiple = tuple(multiple for multiple, _ in sizes)
        self.halo = tuple(halo for _, halo in sizes)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, *spatial)`` to ``(B, 1, *spatial)``."""
        size = x.shape[2:]
        padded = pad_to_multiple(x, self.multiple)
        y = shuffle(self.body(unshuffle(padded, self.cell)), self.cell)
        return crop_to(padded[:, :1] + y if self.residual else y, size)
