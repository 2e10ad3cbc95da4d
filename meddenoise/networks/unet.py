"""The U-Net that the trainers use by default."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from meddenoise.errors import ConfigError
from meddenoise.networks.attention_gate import AttentionGate
from meddenoise.networks.joining import grown, grown_beside
from meddenoise.networks.layers import conv, crop_to, pad_to_multiple, start_as_zero
from meddenoise.networks.levels import multiple_of, reach_of, steps_between
from meddenoise.networks.pooling import max_blur_pool, max_pool
from meddenoise.networks.registry import register_network

__all__ = ["UNet"]


class _Block(nn.Sequential):
    """Two convolutions, each with a leaky ReLU."""

    def __init__(self, dims: int, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__(
            conv(dims, inputs, outputs, bias=bias),
            nn.LeakyReLU(0.1, inplace=True),
            conv(dims, outputs, outputs, bias=bias),
            nn.LeakyReLU(0.1, inplace=True),
        )


@register_network("unet")
class UNet(nn.Module):
    """The default: a U-Net without normalisation (Ronneberger et al., MICCAI 2015).

    Instance and batch norm divide by the patch's own contrast, and with it goes the absolute
    intensity (a HU value, a quantitative map); so there is none here, and intensities are
    normalised once, outside, invertibly.

    With ``pool: blur``, ``top_skip: false`` and no residual it is the network of N2V2 (Höck et al.,
    ECCV Workshops 2022), which leaves no checkerboard after blind-spot training.

    Args:
        dims: 2 or 3.
        channels: features per level, top first; one halving of the grid between two levels.
        strides: by how much each axis shrinks from level to level: one number a step, or one
            list of ``dims`` numbers a step (``[2, 2, 1]`` leaves a thick slice axis alone).
            Default 2 everywhere.
        residual: predict the difference from the input; it starts as the identity, which
            suits supervised training. Blind-spot training does better without: a shortcut
            carries each voxel's own noise to the output.
        pool: how the grid is made coarser: ``max`` of each cell, or ``blur``, the maximum
            filtered before voxels are dropped.
        top_skip: hand the features of the finest level over to the way up.
        attention: weight what is handed over by what the coarser levels see (Oktay et al.,
            MIDL 2018).
        bias: give the convolutions biases; without them, and without ``attention``, the network is
            homogeneous, as :class:`DRUNet` is.
        inputs: channels of the input, of which the first is the image.
    """

    def __init__(
        self,
        dims: int = 3,
        channels: Sequence[int] = (16, 32, 64),
        strides: Sequence[int | Sequence[int]] | None = None,
        residual: bool = False,
        pool: Literal["max", "blur"] = "max",
        top_skip: bool = True,
        attention: bool = False,
        bias: bool = True,
        inputs: int = 1,
    ) -> None:
        super().__init__()
        if pool not in ("max", "blur"):
            raise ConfigError(f"network.pool is 'max' or 'blur', not {pool!r}.")
        steps = steps_between("A U-Net", dims, channels, strides)
        self.residual = residual
        self.top_skip = top_skip
        self.steps = steps
        self.pool = max_pool if pool == "max" else max_blur_pool
        self.multiple = multiple_of(dims, steps)
        self.down = nn.ModuleList(
            _Block(dims, above, here, bias)
            for above, here in zip((inputs, *channels), channels, strict=False)
        )
        # Halving the features before the grid grows, not after it, saves most of the arithmetic
        # of a step up.
        self.narrow = nn.ModuleList(
            conv(dims, below, here, kernel=1, bias=bias)
            for here, below in itertools.pairwise(channels)
        )
        skips = [top_skip, *[True] * len(channels)]
        self.up = nn.ModuleList(
            _Block(dims, 2 * here if skip else here, here, bias)
            for here, skip in zip(channels[:-1], skips, strict=False)
        )
        if attention:
            self.gates = nn.ModuleList(AttentionGate(dims, here) for here in channels[:-1])
        self.attention = attention
        self.out = conv(dims, channels[0], 1, kernel=1, bias=bias)
        if residual:
            start_as_zero(self.out)
        # Two convolutions a level, down and up.
        passes = [4] * len(steps) + [2]
        self.halo = reach_of(dims, steps, passes, blurred=pool == "blur")

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, *spatial)`` to ``(B, 1, *spatial)``."""
        size = x.shape[2:]
        y = padded = pad_to_multiple(x, self.multiple)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            y = block(y)
            if level < len(self.steps):
                skips.append(y)
                y = self.pool(y, self.steps[level])
        for level in reversed(range(len(self.steps))):
            y = self.narrow[level](y)
            step, skip = self.steps[level], skips.pop()
            if level == 0 and not self.top_skip:
                y = grown(y, step)
            elif self.attention:
                y = grown(y, step)
                y = torch.cat([y, self.gates[level](skip, y)], dim=1)
            else:
                y = grown_beside(y, step, skip)
            # Nothing is held longer than it is needed: it makes tiles a quarter larger.
            del skip
            for layer in cast("_Block", self.up[level]):
                y = layer(y)
        y = self.out(y)
        return crop_to(padded[:, :1] + y if self.residual else y, size)
