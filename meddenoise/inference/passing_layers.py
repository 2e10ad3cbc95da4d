"""Layers of a U-Net for planes that pass by, and the planes on their way between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from meddenoise.inference.fused import FusedConv, can_fuse

__all__ = ["Block", "Pieces", "cell_order", "first_planes", "reorder", "turned"]

_LAST = torch.channels_last_3d

# Planes of a layer, ``(1, C, Z, Y, X)`` each, in order, in any number of pieces. Whoever is handed
# a list empties it: what it held is let go as soon as it is used.
Pieces = list[Tensor]


def first_planes(waiting: Pieces, count: int, axis: int = 0) -> Tensor:
    """The first planes of what waits; they are taken out."""
    taken: Pieces = []
    while count:
        piece = waiting.pop(0)
        here = min(count, piece.shape[axis])
        taken.append(piece.narrow(axis, 0, here))
        if here < piece.shape[axis]:
            waiting.insert(0, piece.narrow(axis, here, piece.shape[axis] - here))
        count -= here
    return taken[0] if len(taken) == 1 else torch.cat(taken, axis)


def turned(layer: nn.Conv3d) -> nn.Conv3d:
    """A convolution for the axes in the other order, without padding along the first."""
    z, y, x = layer.kernel_size[::-1]
    # Without drawing weights: somebody else's random numbers would change.
    made = skip_init(
        nn.Conv3d,
        layer.in_channels,
        layer.out_channels,
        (z, y, x),
        padding=(0, y // 2, x // 2),
        bias=layer.bias is not None,
    )
    made.weight = nn.Parameter(layer.weight.detach().permute(0, 1, 4, 3, 2), requires_grad=False)
    made.bias = layer.bias
    return cast("nn.Conv3d", made.eval())


def cell_order(cell: Sequence[int], inputs: int) -> Tensor:
    """Which channel of a cell of ``(X, Y, Z)`` is where in one of ``(Z, Y, X)``."""
    numbers = torch.arange(math.prod(cell) * inputs).view(*cell, inputs)
    return numbers.permute(2, 1, 0, 3).reshape(-1)


def reorder(layer: nn.Conv3d, order: Tensor, *, outputs: bool) -> None:
    """Put a layer's inputs, or its outputs, into another order."""
    weight = layer.weight[order] if outputs else layer.weight[:, order]
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if outputs and layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.detach()[order], requires_grad=False)


class _Conv:
    """A convolution over 3 planes and its activation; zeros lie before the first and the last."""

    def __init__(self, layer: nn.Conv3d, activation: nn.Module, order: Tensor | None) -> None:
        conv = turned(layer)
        if order is not None:
            reorder(conv, order, outputs=False)
        conv.weight.data = torch.empty_like(conv.weight, memory_format=_LAST).copy_(conv.weight)
        self._layer: Callable[[Tensor], Tensor] = (
            FusedConv(conv, activation) if can_fuse(conv) else nn.Sequential(conv, activation)
        )
        self._kept: Pieces = []
        self._begun = False
        self.inputs = layer.in_channels

    def push(self, pieces: Pieces, last: bool) -> Pieces:
        """What comes out for more planes; ``last``: there will be no more."""
        parts = [*self._kept, *pieces]
        pieces.clear()
        self._kept = []
        if not parts:
            return []
        if not self._begun:
            parts.insert(0, _no_plane(parts[0]))
            self._begun = True
        if last:
            parts.append(_no_plane(parts[0]))
        if sum(part.shape[2] for part in parts) < 3:
            self._kept = parts
            return []
        whole = torch.cat(parts, 2) if len(parts) > 1 else parts[0]
        parts.clear()
        if not last:
            self._kept = [whole[:, :, -2:].clone()]
        return [self._layer(whole)]


def _no_plane(x: Tensor) -> Tensor:
    return torch.zeros_like(x[:, :, :1], memory_format=_LAST)


class Block:
    """Two convolutions, each with an activation."""

    def __init__(self, block: nn.Sequential, order: Tensor | None = None) -> None:
        layers = [*block]
        pairs = zip(layers[::2], layers[1::2], strict=True)
        self.convs = [
            _Conv(cast("nn.Conv3d", conv), activation, None if k else order)
            for k, (conv, activation) in enumerate(pairs)
        ]

    def push(self, pieces: Pieces, last: bool) -> Pieces:
        """As of a layer."""
        for conv in self.convs:
            pieces = conv.push(pieces, last)
        return pieces
