"""2.5-D: each slice of a volume by a 2-D U-Net that sees its neighbours as channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.errors import ConfigError
from meddenoise.networks.registry import register_network
from meddenoise.networks.unet import UNet

__all__ = ["SlabUNet"]


@register_network("slab_unet")
class SlabUNet(nn.Module):
    """2.5-D: a 2-D U-Net over each slice of a volume and its neighbours.

    It sees slabs of ``2 * neighbours + 1`` slices and denoises the middle one. For thick slices,
    whose neighbours help less than those in the plane: most of the arithmetic of a 2-D network, and
    yet it tells a vessel that goes on from a speck of noise. It takes patches of three axes, and
    slices lie along the last of them; beyond the ends the last slice is repeated.

    Args:
        dims: 3.
        neighbours: slices on either side.
        channels: see :class:`UNet`, as are the others.
        strides: one number a step, or one list of 2 numbers.
        residual: see :class:`UNet`.
        pool: see :class:`UNet`.
        top_skip: see :class:`UNet`.
        attention: see :class:`UNet`.
        inputs: channels of the input, of which the first is the image.

    Raises:
        ConfigError: ``dims`` 2, a negative number of neighbours, or as :class:`UNet`.
    """

    axes: ClassVar[tuple[int, ...]] = (3,)

    def __init__(
        self,
        dims: int = 3,
        neighbours: int = 2,
        channels: Sequence[int] = (32, 64, 128),
        strides: Sequence[int | Sequence[int]] | None = None,
        residual: bool = False,
        pool: Literal["max", "blur"] = "max",
        top_skip: bool = True,
        attention: bool = False,
        inputs: int = 1,
    ) -> None:
        super().__init__()
        if dims != 3:
            raise ConfigError(
                "slab_unet denoises slices of a volume with their neighbours: give data.patch 3 "
                "numbers, such as [64, 64, 8], or take network.name unet for 2-D."
            )
        if neighbours < 0:
            raise ConfigError(f"network.neighbours is at least 0, not {neighbours}.")
        self.neighbours = neighbours
        self.plane = UNet(
            2,
            channels,
            strides,
            residual=residual,
            pool=pool,
            top_skip=top_skip,
            attention=attention,
            inputs=inputs * (2 * neighbours + 1),
        )
        self.multiple = (*self.plane.multiple, 1)
        self.halo = (*self.plane.halo, neighbours)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, X, Y, Z)`` to ``(B, 1, X, Y, Z)``."""
        batch, depth, k = len(x), x.shape[4], self.neighbours
        wide = F.pad(x, (k, k, 0, 0, 0, 0), mode="replicate")
        # The slice itself comes first: a residual network adds to its first channel.
        offsets = [0, *(side * n for n in range(1, k + 1) for side in (-1, 1))]
        slab = torch.cat([wide[..., k + o : k + o + depth] for o in offsets], dim=1)
        slices = slab.movedim(4, 1).flatten(0, 1)  # (B * Z, channels, X, Y)
        return self.plane(slices).unflatten(0, (batch, depth)).movedim(1, 4)
