"""A convolutional autoencoder: down to few features, and up again without a shortcut."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from meddenoise.networks.joining import grown
from meddenoise.networks.layers import conv, crop_to, pad_to_multiple
from meddenoise.networks.levels import multiple_of, reach_of, steps_between
from meddenoise.networks.pooling import max_pool
from meddenoise.networks.registry import register_network

__all__ = ["Autoencoder"]


@register_network("autoencoder")
class Autoencoder(nn.Module):
    """Down to few features and up again without a shortcut (Gondara, ICDM Workshops 2016).

    After "Medical Image Denoising Using Convolutional Denoising Autoencoders", with leaky ReLU for
    the paper's ReLU and no sigmoid at the end. All that reaches the output has passed the coarsest
    grid, so fine structure is lost that a U-Net keeps: a baseline to compare with, and a quick
    smoother.

    Args:
        dims: 2 or 3.
        channels: features per level, top first.
        strides: by how much each axis shrinks from level to level; see :class:`UNet`.
        inputs: channels of the input, of which the first is the image.

    Raises:
        ConfigError: impossible channels or strides.
    """

    def __init__(
        self,
        dims: int = 3,
        channels: Sequence[int] = (32, 64),
        strides: Sequence[int | Sequence[int]] | None = None,
        inputs: int = 1,
    ) -> None:
        super().__init__()
        self.steps = steps_between("An autoencoder", dims, channels, strides)
        self.down = nn.ModuleList(
            conv(dims, above, here) for above, here in itertools.pairwise((inputs, *channels))
        )
        self.up = nn.ModuleList(
            conv(dims, below, here) for here, below in itertools.pairwise(channels)
        )
        self.out = conv(dims, channels[0], 1)
        self.act = nn.LeakyReLU(0.1, inplace=True)
        self.multiple = multiple_of(dims, self.steps)
        # A way up ends with a convolution on the finer grid; the last one is the output's.
        passes = [2] * len(self.steps) + [1]
        passes[0] += 1
        self.halo = reach_of(dims, self.steps, passes)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, *spatial)`` to ``(B, 1, *spatial)``."""
        size = x.shape[2:]
        y = pad_to_multiple(x, self.multiple)
        for level, layer in enumerate(self.down):
            y = self.act(layer(y))
            if level < len(self.steps):
                y = max_pool(y, self.steps[level])
        for level in reversed(range(len(self.steps))):
            y = grown(y, self.steps[level])
            y = self.act(self.up[level](y))
        return crop_to(self.out(y), size)
