"""The level of an image around each voxel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.networks.layers import is_exported

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
        self._weights: list[float] = (kernel / kernel.sum()).tolist()[_REACH:]

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 1, *spatial)``, 2 or 3 axes, to the same shape."""
        for axis in range(2, x.ndim):
            pads = [0] * (2 * (x.ndim - 2))
            pads[2 * (x.ndim - 1 - axis)] = pads[2 * (x.ndim - 1 - axis) + 1] = _REACH
            x = self._along(axis, F.pad(x, pads, mode="replicate"))
        return x

    def _along(self, axis: int, padded: Tensor) -> Tensor:
        if is_exported():
            kernel = self.get_buffer("kernel").to(padded.dtype)
            shape = [1] * padded.ndim
            shape[axis] = -1
            convolve = F.conv3d if padded.ndim == 5 else F.conv2d
            return convolve(padded, kernel.view(shape))
        # On CPUs a sum of shifted images takes a seventh of a convolution's time.
        size = padded.shape[axis] - 2 * _REACH
        middle, *weights = self._weights
        total = padded.narrow(axis, _REACH, size) * middle
        for step, weight in enumerate(weights, start=1):
            for start in (_REACH - step, _REACH + step):
                total = total.add_(padded.narrow(axis, start, size), alpha=weight)
        return total
