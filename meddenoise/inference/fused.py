"""A convolution and the activation after it in one pass over the voxels, which oneDNN can do."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ACTIVATIONS", "CONVOLUTIONS", "FusedConv", "TakenIn", "can_fuse", "is_stock"]

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU)
_STOCK = {kind.forward for kind in (*CONVOLUTIONS, *ACTIVATIONS)}


def is_stock(layer: nn.Module) -> bool:
    """Whether a layer does what torch's does and no more: no forward or hook of its own."""
    return type(layer).forward in _STOCK and not (layer._forward_hooks or layer._forward_pre_hooks)


def can_fuse(layer: nn.Module) -> bool:
    """Whether a convolution can take an activation in, on this machine.

    Not one with weights that are no numbers: oneDNN's activations make 0 of them, and what comes of
    such weights is to be seen.
    """
    return (
        isinstance(layer, CONVOLUTIONS)
        and is_stock(layer)
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype == torch.float32
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and all(
            bool(part.isfinite().all()) for part in (layer.weight, layer.bias) if part is not None
        )
        and torch.backends.mkldnn.is_available()
        # What torch.compile calls for the same purpose; torch promises nothing about it.
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


@lru_cache(maxsize=1)
def _has_bf16() -> bool:
    """Whether oneDNN has convolutions in bfloat16 for this processor; without, it fails."""
    ask = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return ask is not None and bool(ask())


class FusedConv(nn.Module):
    """For inference on a CPU, in float32 or under autocast to bfloat16.

    On its own an activation waits for the memory: of a U-Net in bfloat16 that was a fifth of the
    time. A number that is none comes out as 0.

    Args:
        layer: a convolution, see :func:`can_fuse`; its attributes are this one's.
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
        # Not registered: it is no layer that is run.
        object.__setattr__(self, "_layer", convolution)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if "_layer" not in self.__dict__:
                raise
            return getattr(self.__dict__["_layer"], name)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, *spatial)`` to ``(N, D, *spatial)``."""
        found = self._activated(x)
        found.activated = True  # type: ignore[attr-defined]
        return found

    def _activated(self, x: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias
        if torch.is_autocast_enabled("cpu"):
            kind = torch.get_autocast_dtype("cpu")
            x, weight = x.to(kind), weight.to(kind)
            bias = None if bias is None else bias.to(kind)
        shape = self._stride, self._padding, self._dilation, self._groups
        known = x.dtype == torch.float32 or (x.dtype == torch.bfloat16 and _has_bf16())
        if not known or torch.is_grad_enabled():
            convolve = F.conv3d if weight.ndim == 5 else F.conv2d
            return F.leaky_relu(convolve(x, weight, bias, *shape), self._slope)
        name, scalars = ("leaky_relu", [self._slope]) if self._slope else ("relu", [])
        stride, padding, dilation, groups = shape
        found: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, padding, stride, dilation, groups, name, scalars, None
        )
        return found


class TakenIn(nn.Module):
    """An activation that convolutions have taken in, for whatever else it may be given.

    Args:
        activation: as it was.
    """

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Any:
        """What comes straight from such a convolution, as it is."""
        return x if getattr(x, "activated", False) else self.activation(x)
