"""A convolution and the activation after it in one pass over the voxels, which oneDNN can do."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ACTIVATIONS", "CONVOLUTIONS", "FusedConv", "can_fuse"]

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU)


def can_fuse(layer: nn.Module) -> bool:
    """Whether a convolution can take an activation in, on this machine."""
    return (
        isinstance(layer, CONVOLUTIONS)
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype == torch.float32
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and torch.backends.mkldnn.is_available()
        # What torch.compile calls for the same purpose; torch promises nothing about it.
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


class FusedConv(nn.Module):
    """For inference on a CPU, in float32 or under autocast to bfloat16.

    On its own an activation waits for the memory: of a U-Net in bfloat16 that was a fifth of the
    time.

    Args:
        layer: a convolution, see :func:`can_fuse`.
        activation: a ReLU or a leaky one.
    """

    def __init__(self, layer: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        convolution = cast("nn.Conv3d", layer)
        self.weight, self.bias = convolution.weight, convolution.bias
        self._padding = [int(n) for n in convolution.padding]
        self._stride, self._dilation = [*convolution.stride], [*convolution.dilation]
        self._groups = convolution.groups
        self._slope = float(getattr(activation, "negative_slope", 0.0))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, *spatial)`` to ``(N, D, *spatial)``."""
        weight, bias = self.weight, self.bias
        if torch.is_autocast_enabled("cpu"):
            kind = torch.get_autocast_dtype("cpu")
            x, weight = x.to(kind), weight.to(kind)
            bias = None if bias is None else bias.to(kind)
        shape = self._stride, self._padding, self._dilation, self._groups
        if x.dtype not in (torch.float32, torch.bfloat16) or torch.is_grad_enabled():
            convolve = F.conv3d if weight.ndim == 5 else F.conv2d
            return F.leaky_relu(convolve(x, weight, bias, *shape), self._slope)
        name, scalars = ("leaky_relu", [self._slope]) if self._slope else ("relu", [])
        stride, padding, dilation, groups = shape
        found: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, padding, stride, dilation, groups, name, scalars, None
        )
        return found
