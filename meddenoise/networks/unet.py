"""The U-Net that the trainers use by default."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.errors import ConfigError
from meddenoise.networks.layers import conv, crop_to, pad_to_multiple, start_as_zero
from meddenoise.networks.registry import register_network

__all__ = ["UNet"]


class _Block(nn.Sequential):
    """Two convolutions, each with a leaky ReLU."""

    def __init__(self, dims: int, inputs: int, outputs: int) -> None:
        super().__init__(
            conv(dims, inputs, outputs),
            nn.LeakyReLU(0.1, inplace=True),
            conv(dims, outputs, outputs),
            nn.LeakyReLU(0.1, inplace=True),
        )


@register_network("unet")
class UNet(nn.Module):
    """Ronneberger et al., MICCAI 2015, without normalisation layers.

    Instance and batch norm divide by the patch's own contrast, and with it goes the absolute
    intensity (a HU value, a quantitative map); so there is none here, and intensities are
    normalised once, outside, invertibly.

    Args:
        dims: 2 or 3.
        channels: features per level, top first; one halving of the grid between two levels.
        strides: by how much each axis shrinks from level to level: one number a step, or one
            list of ``dims`` numbers a step (``[2, 2, 1]`` leaves a thick slice axis alone).
            Default 2 everywhere.
        residual: predict the difference from the input; it starts as the identity, which
            suits supervised training. Blind-spot training does better without: a shortcut
            carries each voxel's own noise to the output.
        inputs: channels of the input, of which the first is the image.
    """

    def __init__(
        self,
        dims: int = 3,
        channels: Sequence[int] = (16, 32, 64),
        strides: Sequence[int | Sequence[int]] | None = None,
        residual: bool = False,
        inputs: int = 1,
    ) -> None:
        super().__init__()
        steps = self._steps(dims, channels, strides)
        self.residual = residual
        self.steps = steps
        self.multiple = tuple(int(torch.tensor([s[a] for s in steps]).prod()) for a in range(dims))
        self.down = nn.ModuleList(
            _Block(dims, above, here)
            for above, here in zip((inputs, *channels), channels, strict=False)
        )
        # Halving the features before the grid grows, not after it, saves most of the arithmetic
        # of a step up.
        self.narrow = nn.ModuleList(
            conv(dims, below, here, kernel=1) for here, below in itertools.pairwise(channels)
        )
        self.up = nn.ModuleList(_Block(dims, 2 * here, here) for here in channels[:-1])
        self.out = conv(dims, channels[0], 1, kernel=1)
        if residual:
            start_as_zero(self.out)
        self.halo = self._halo(dims)

    @staticmethod
    def _steps(
        dims: int, channels: Sequence[int], strides: Sequence[int | Sequence[int]] | None
    ) -> list[tuple[int, ...]]:
        if not channels or min(channels) < 1:
            raise ConfigError("A U-Net needs a positive number of channels at every level.")
        given = [2] * (len(channels) - 1) if strides is None else list(strides)
        steps = [(s,) * dims if isinstance(s, int) else tuple(s) for s in given]
        if len(steps) != len(channels) - 1 or any(len(s) != dims or min(s) < 1 for s in steps):
            raise ConfigError(
                f"A U-Net of {len(channels)} levels and {dims} axes needs {len(channels) - 1} "
                f"strides, each one number or {dims} numbers of at least 1, not {strides}."
            )
        return steps

    def _halo(self, dims: int) -> tuple[int, ...]:
        """How far, in voxels, an output voxel sees: two convolutions a level, down and up."""
        halo = []
        for axis in range(dims):
            reach, scale = 0, 1
            for level, step in enumerate([*(s[axis] for s in self.steps), 1]):
                passes = 1 if level == len(self.steps) else 2
                reach += 2 * passes * scale
                if level < len(self.steps):
                    # Pooling, and upsampling to the same cell again, reach across one cell.
                    reach += (step - 1) * scale
                scale *= step
            halo.append(reach)
        return tuple(halo)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, *spatial)`` to ``(B, 1, *spatial)``."""
        size = x.shape[2:]
        y = padded = pad_to_multiple(x, self.multiple)
        pool = F.max_pool2d if y.ndim == 4 else F.max_pool3d
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            y = block(y)
            if level < len(self.steps):
                skips.append(y)
                y = pool(y, self.steps[level])
        for narrow, block, step, skip in zip(
            reversed(self.narrow), reversed(self.up), reversed(self.steps), reversed(skips),
            strict=True,
        ):  # fmt: skip
            y = F.interpolate(narrow(y), scale_factor=tuple(map(float, step)), mode="nearest")
            y = block(torch.cat([y, skip], dim=1))
        y = self.out(y)
        return crop_to(padded[:, :1] + y if self.residual else y, size)
