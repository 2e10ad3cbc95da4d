"""A U-Net over planes that pass by: every layer keeps the few that it needs of what has gone.

Tiles share twice the network's halo with their neighbours, and what is shared is computed twice or
more: of a scan of 1024^3, 2.4 times its voxels. A convolution over 3 planes needs two of those that
came before, at every level of the network; with these at hand nothing is computed twice, and the
result is that of the whole scan at once.

The planes come along the first axis here, ``(1, C, Z, Y, X)``, as they lie in files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import cast

import torch
from torch import Tensor, nn

from meddenoise.inference.fused import is_stock
from meddenoise.inference.passing_layers import (
    Block,
    Pieces,
    cell_order,
    first_planes,
    reorder,
    turned,
)
from meddenoise.inference.quickened import Pointwise
from meddenoise.networks.joining import grown, grown_beside
from meddenoise.networks.light import LightNet, shuffle, unshuffle
from meddenoise.networks.pooling import max_pool
from meddenoise.networks.unet import UNet

__all__ = ["PassingUNet", "can_pass"]

_LAST = torch.channels_last_3d
# What a slab was measured to take beside as many voxels in one pass, and planes that count more.
_BESIDE, _MORE = 2.25, 4
# More cells of the coarsest grid at once are no faster.
_MOST = 4


def can_pass(network: nn.Module) -> bool:
    """Whether a network is one that this knows: a 3-D U-Net, or the light one, as they are."""
    body = network.body if type(network) is LightNet else network
    if type(body) is not UNet or len(body.multiple) != 3:
        return False
    blocks = [*body.down, *body.up]
    single = [*body.narrow, body.out]
    return (
        not body.attention
        and body.pool is max_pool
        and all(map(_is_block, blocks))
        and all(_is_conv(layer, 1) for layer in single)
        # What somebody hung on it wants to be run.
        and not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
        and not any("forward" in vars(m) for m in network.modules())
    )


def _is_block(block: nn.Module) -> bool:
    layers = [*block.children()]
    return (
        len(layers) == 4
        and all(_is_conv(layer, 3) for layer in layers[::2])
        and all(isinstance(layer, nn.LeakyReLU) and is_stock(layer) for layer in layers[1::2])
    )


def _is_conv(layer: nn.Module, kernel: int) -> bool:
    return (
        isinstance(layer, nn.Conv3d)
        and is_stock(layer)
        and set(layer.kernel_size) == {kernel}
        and set(layer.padding) == {kernel // 2}
        and {*layer.stride, *layer.dilation, layer.groups} == {1}
        and layer.padding_mode == "zeros"
    )


class PassingUNet:
    """A network for slabs of planes, once over.

    Args:
        network: see :func:`can_pass`; its weights are shared or copied, not changed.
    """

    def __init__(self, network: nn.Module) -> None:
        light = network if isinstance(network, LightNet) else None
        body = cast("UNet", network.body if light is not None else network)
        self.cell = (1, 1, 1) if light is None else light.cell[::-1]
        self.residual = body.residual if light is None else light.residual
        self.multiple = int(cast("Sequence[int]", network.multiple)[2])
        order = None
        if light is not None:
            layer = cast("nn.Conv3d", cast("nn.Sequential", body.down[0])[0])
            order = cell_order(light.cell, layer.in_channels // math.prod(light.cell))
        self._top = _Level(body, 0, order)
        out = turned(cast("nn.Conv3d", body.out))
        if light is not None:
            reorder(out, cell_order(light.cell, 1), outputs=True)
        self._out = Pointwise(out)
        self._given: Pieces = []

    def over(
        self,
        parts: Iterator[Tensor],
        depth: int,
        slab: int,
        context: Callable[[], AbstractContextManager[object]],
    ) -> Iterator[Tensor]:
        """The result's planes.

        Args:
            parts: ``(n, C, X, Y)`` float32, all axes multiples of the network's coarsest grid.
            depth: planes of all parts.
            slab: planes at once, a multiple of :attr:`multiple`.
            context: the precision of a pass.

        Yields:
            ``(n, X, Y)`` float32.

        Raises:
            ValueError: there were fewer planes.
        """
        done = 0
        for planes in _slabs(parts, slab):
            done += len(planes)
            found = self._push(planes.permute(1, 0, 3, 2)[None], slab, last=done == depth)
            while True:
                with torch.inference_mode(), context():
                    y = next(found, None)
                if y is None:
                    break
                yield y[0, 0].transpose(1, 2)
        if done != depth:
            raise ValueError(f"There were {done} planes, and not {depth}.")

    def _push(self, x: Tensor, slab: int, *, last: bool) -> Iterator[Tensor]:
        x = x.contiguous()
        if self.residual:
            self._given.append(x[:, :1])
        if math.prod(self.cell) > 1:
            pieces = [unshuffle(x, self.cell)]
        else:
            pieces = [x.contiguous(memory_format=_LAST)]
        del x
        for y in self._top.push(pieces, slab // self.cell[0], last):
            image = shuffle(self._out(y), self.cell).float()
            if self.residual:
                image = image + first_planes(self._given, image.shape[2], axis=2)
            yield image

    def slab(self, plane: Sequence[int], budget: float, cost: float) -> int:
        """So many planes at once as the memory allows; 0 if that is too few.

        Args:
            plane: X and Y.
            budget: bytes.
            cost: bytes a voxel of a pass, see :func:`bytes_per_voxel`.
        """
        pixels = math.prod(plane)
        grid = pixels / math.prod(self.cell[1:])
        kept = 4 * grid * self._top.kept()[0]
        planes = (budget - kept) / (_BESIDE * cost * pixels) - _MORE
        slab = min(int(planes) // self.multiple, _MOST) * self.multiple
        return max(slab, 0)


class _Level:
    """A level of a U-Net and what is below it."""

    def __init__(self, body: UNet, number: int, order: Tensor | None = None) -> None:
        self._down = Block(cast("nn.Sequential", body.down[number]), order)
        self._below: _Level | None = None
        if number == len(body.steps):
            return
        self._step = body.steps[number][::-1]
        self._below = _Level(body, number + 1)
        self._narrow = Pointwise(turned(cast("nn.Conv3d", body.narrow[number])))
        self._up = Block(cast("nn.Sequential", body.up[number]))
        self._skips = number > 0 or body.top_skip
        self._waiting: Pieces = []
        self._unpooled: Pieces = []

    def push(self, pieces: Pieces, most: int, last: bool) -> Iterator[Tensor]:
        """What comes out of it for more planes, at most so many at once; ``last``: and the rest."""
        fine = self._down.push(pieces, last)
        if self._below is None:
            yield from fine
            return
        if self._skips:
            self._waiting += fine
        self._unpooled += fine
        fine.clear()
        fewer = max(most // self._step[0], 1)
        coarse = self._below.push(self._pooled(), fewer, last)
        # In the end all that was kept comes at once.
        parts = (part for y in coarse for part in y.split(fewer, dim=2))
        here = next(parts, None)
        while here is not None:
            following = next(parts, None)
            joined = [self._joined(self._narrow(here))]
            yield from self._up.push(joined, last and following is None)
            here = following

    def _joined(self, y: Tensor) -> Tensor:
        if not self._skips:
            return grown(y, self._step)
        skip = first_planes(self._waiting, y.shape[2] * self._step[0], axis=2)
        return grown_beside(y, self._step, skip)

    def _pooled(self) -> Pieces:
        count = sum(piece.shape[2] for piece in self._unpooled) // self._step[0] * self._step[0]
        return [max_pool(first_planes(self._unpooled, count, axis=2), self._step)] if count else []

    def kept(self) -> tuple[float, int]:
        """Values kept for each voxel of a plane of this level, and planes until one comes out."""
        values = sum(2.0 * conv.inputs for conv in self._down.convs)
        if self._below is None:
            return values, 2
        below, planes = self._below.kept()
        wait = self._step[0] * (planes + 1)
        values += sum(2.0 * conv.inputs for conv in self._up.convs)
        values += below / math.prod(self._step[1:])
        if self._skips:
            values += wait * self._up.convs[-1].inputs
        return values, wait + 4


def _slabs(parts: Iterator[Tensor], slab: int) -> Iterator[Tensor]:
    """The planes in slabs, the last one perhaps smaller."""
    waiting: Pieces = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part)
        while count >= slab:
            taken = first_planes(waiting, slab)
            count -= slab
            yield taken
    if count:
        yield torch.cat(waiting)
