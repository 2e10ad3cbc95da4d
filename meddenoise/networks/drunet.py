"""DRUNet: a U-Net of residual blocks, made for a noise map."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from meddenoise.errors import ConfigError
from meddenoise.networks.layers import (
    conv,
    crop_to,
    pad_to_multiple,
    shrink,
    start_as_zero,
    widen,
)
from meddenoise.networks.levels import MOST_LAYERS, multiple_of, reach_of, steps_between
from meddenoise.networks.registry import register_network

__all__ = ["DRUNet"]


class _ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))); starts as the identity."""

    def __init__(self, dims: int, channels: int, bias: bool) -> None:
        super().__init__()
        self.one = conv(dims, channels, channels, bias=bias)
        self.two = start_as_zero(conv(dims, channels, channels, bias=bias))
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.two(self.act(self.one(x)))


@register_network("drunet")
class DRUNet(nn.Module):
    """A U-Net of residual blocks, made for a noise map (Zhang et al., IEEE TPAMI 44(10), 2022).

    Figure 1 of "Plug-and-Play Image Restoration with Deep Denoiser Prior": residual blocks, strided
    convolutions, and sums for skips; no normalisation.

    Without biases, as in the paper, it is homogeneous: image and noise map twice as strong give a
    result twice as strong (Mohan et al., "Robust and Interpretable Blind Image Denoising via
    Bias-Free Convolutional Neural Networks", ICLR 2020). So it does not fail at levels of noise
    that it was not trained at, and MR scans of any gain are alike to it. That holds around the
    normalisation's ``shift``, which ``method: fixed`` with ``shift: 0`` makes the zero of the scan.

    Args:
        dims: 2 or 3.
        channels: features per level, top first (the paper: 64, 128, 256, 512, in 2-D).
        blocks: residual blocks a level, on the way down and again on the way up (the paper: 4).
        strides: by how much each axis shrinks from level to level; see :class:`UNet`.
        bias: give the convolutions biases; the network is then no longer homogeneous.
        residual: predict the difference from the input; for supervised training.
        inputs: channels of the input, of which the first is the image.

    Raises:
        ConfigError: impossible channels, strides or blocks.
    """

    def __init__(
        self,
        dims: int = 3,
        channels: Sequence[int] = (16, 32, 64),
        blocks: int = 2,
        strides: Sequence[int | Sequence[int]] | None = None,
        bias: bool = False,
        residual: bool = False,
        inputs: int = 1,
    ) -> None:
        super().__init__()
        if not 1 <= blocks <= MOST_LAYERS:
            raise ConfigError(
                f"A DRUNet has at least 1 block a level, at most {MOST_LAYERS}, not {blocks}."
            )
        steps = steps_between("A DRUNet", dims, channels, strides)
        levels = len(steps)

        def body(level: int) -> nn.Sequential:
            width = channels[level]
            return nn.Sequential(*(_ResidualBlock(dims, width, bias) for _ in range(blocks)))

        self.residual = residual
        self.head = conv(dims, inputs, channels[0], bias=bias)
        self.down = nn.ModuleList(body(level) for level in range(levels))
        self.shrink = nn.ModuleList(
            shrink(dims, channels[level], channels[level + 1], steps[level], bias)
            for level in range(levels)
        )
        self.bottom = body(levels)
        self.widen = nn.ModuleList(
            widen(dims, channels[level + 1], channels[level], steps[level], bias)
            for level in range(levels)
        )
        self.up = nn.ModuleList(body(level) for level in range(levels))
        self.tail = conv(dims, channels[0], 1, bias=bias)
        if residual:
            start_as_zero(self.tail)
        self.multiple = multiple_of(dims, steps)
        passes = [4 * blocks] * levels + [2 * blocks]
        passes[0] += 2  # head and tail
        self.halo = reach_of(dims, steps, passes)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, *spatial)`` to ``(B, 1, *spatial)``."""
        size = x.shape[2:]
        padded = pad_to_multiple(x, self.multiple)
        y = self.head(padded)
        skips = [y]
        for body, shrinking in zip(self.down, self.shrink, strict=True):
            y = shrinking(body(y))
            skips.append(y)
        y = self.bottom(y)
        for level in reversed(range(len(self.up))):
            y = self.up[level](self.widen[level](y + skips[level + 1]))
        y = self.tail(y + skips[0])
        return crop_to(padded[:, :1] + y if self.residual else y, size)
