"""The level of an image around each voxel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LocalMean"]

# Of the Gaussian, in voxels, and how far it reaches.
_SIGMA, _REACH = 2.0, 6


class LocalMean(nn.Module):
    """A Gaussian of 2 voxels along every axis; at borders the outermost voxel goes on.

    Attributes:
        reach: how far a voxel's mean sees, in voxels.
    """

    reach = _REACH

    def __init__(self) -> None:
        super().__init__()
        at = torch.arange(-_REACH, _REACH + 1, dtype=torch.float32)
        kernel = torch.exp(-(at**2) / (2 * _SIGMA**2))
        self.register_buffer("kernel", kernel / kernel.sum(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 1, *spatial)``, 2 or 3 axes, to the same shape."""
        dims = x.ndim - 2
        convolve = F.conv3d if dims == 3 else F.conv2d
        for axis in range(dims):
            shape, pads = [1] * x.ndim, [0] * (2 * dims)
            shape[axis + 2] = -1
            pads[2 * (dims - 1 - axis)] = pads[2 * (dims - 1 - axis) + 1] = _REACH
            kernel = self.get_buffer("kernel").to(x.dtype).view(shape)
            x = convolve(F.pad(x, pads, mode="replicate"), kernel)
        return x
