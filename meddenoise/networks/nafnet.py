"""NAFNet: a U-Net whose blocks multiply halves of their features instead of an activation."""

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

__all__ = ["NAFNet"]

# Of normalised features, whose size is about 1.
_SMALLEST = 1e-6


class _Branch(nn.Module):
    """x + size * f(x / size), where size is the root mean square over the channels of a voxel."""

    def __init__(self, dims: int, channels: int, *, depthwise: bool) -> None:
        super().__init__()
        self.inner = conv(dims, channels, 2 * channels, kernel=1)
        self.depthwise = (
            conv(dims, 2 * channels, 2 * channels, groups=2 * channels) if depthwise else None
        )
        # A block starts as the identity, as the paper's own factors beta and gamma make it.
        self.outer = start_as_zero(conv(dims, channels, channels, kernel=1))

    def forward(self, x: Tensor) -> Tensor:
        # In half precision the squares of small features would be 0.
        size = (x.float().square().mean(1, keepdim=True) + _SMALLEST**2).sqrt()
        y = self.inner((x / size).to(x.dtype))
        if self.depthwise is not None:
            y = self.depthwise(y)
        one, two = y.chunk(2, dim=1)
        return x + (size * self.outer(one * two)).to(x.dtype)


class _Block(nn.Sequential):
    """The paper's block: a branch with a depthwise convolution, and one without."""

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__(
            _Branch(dims, channels, depthwise=True), _Branch(dims, channels, depthwise=False)
        )


@register_network("nafnet")
class NAFNet(nn.Module):
    """A U-Net that multiplies features instead of an activation (Chen et al., ECCV 2022).

    Figures 2d and 3c of "Simple Baselines for Image Restoration", made fit for absolute intensities
    and for tiles. The paper divides each voxel's features by their standard deviation (layer norm)
    and does not multiply it back, so what a block adds does not grow with the image: a network
    trained at one gain does next to nothing at a hundred times that. Here each block multiplies the
    size back that it divided by, and all that stands outside of blocks is linear without a bias:
    image (and noise map) twice as strong give a result twice as strong, whatever the weights; see
    :class:`DRUNet` for what that is good for.

    The paper's channel attention is left out: it averages over the whole image, so that a tile
    would be denoised otherwise than the volume.

    Args:
        dims: 2 or 3.
        channels: features per level, top first (the paper: 32, 64, 128, 256, 512, in 2-D).
        blocks: blocks a level, on the way down and again on the way up.
        strides: by how much each axis shrinks from level to level; see :class:`UNet`.
        residual: predict the difference from the input, as the paper does. Turn it off for
            blind-spot training.
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
        residual: bool = True,
        inputs: int = 1,
    ) -> None:
        super().__init__()
        if not 1 <= blocks <= MOST_LAYERS:
            raise ConfigError(
                f"A NAFNet has at least 1 block a level, at most {MOST_LAYERS}, not {blocks}."
            )
        steps = steps_between("A NAFNet", dims, channels, strides)
        levels = len(steps)

        def body(level: int) -> nn.Sequential:
            return nn.Sequential(*(_Block(dims, channels[level]) for _ in range(blocks)))

        self.residual = residual
        self.head = conv(dims, inputs, channels[0], bias=False)
        self.down = nn.ModuleList(body(level) for level in range(levels))
        self.shrink = nn.ModuleList(
            shrink(dims, channels[level], channels[level + 1], steps[level], bias=False)
            for level in range(levels)
        )
        self.bottom = body(levels)
        self.widen = nn.ModuleList(
            widen(dims, channels[level + 1], channels[level], steps[level], bias=False)
            for level in range(levels)
        )
        self.up = nn.ModuleList(body(level) for level in range(levels))
        self.tail = conv(dims, channels[0], 1, bias=False)
        if residual:
            start_as_zero(self.tail)
        self.multiple = multiple_of(dims, steps)
        passes = [2 * blocks] * levels + [blocks]
        passes[0] += 2  # head and tail
        self.halo = reach_of(dims, steps, passes)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, *spatial)`` to ``(B, 1, *spatial)``."""
        size = x.shape[2:]
        padded = pad_to_multiple(x, self.multiple)
        y = self.head(padded)
        skips: list[Tensor] = []
        for body, shrinking in zip(self.down, self.shrink, strict=True):
            y = body(y)
            skips.append(y)
            y = shrinking(y)
        y = self.bottom(y)
        for level in reversed(range(len(skips))):
            y = self.up[level](self.widen[level](y) + skips[level])
        y = self.tail(y)
        return crop_to(padded[:, :1] + y if self.residual else y, size)
