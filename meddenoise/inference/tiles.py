"""Cuts a volume into overlapping tiles and blends what comes back.

An output voxel further than the network's halo from a tile's inner border is what the whole
volume would have given, provided the tile starts on the grid of the network's coarsest level.
So tiles start at multiples of that grid, share twice the halo, and their outermost halo counts
for nothing: the result does not depend on the tiles.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from meddenoise.errors import ParameterError

__all__ = ["TilePlan", "plan_tiles"]

# Exact tiles may cost so many times the volume; beyond that, a network with a very wide view
# (of which it uses the far part little) gets tiles that share only ``overlap``.
_MOST_WORK = 3.5


@dataclass(frozen=True)
class TilePlan:
    """Where the tiles of a volume lie.

    Attributes:
        shape: of the volume.
        tile: of every tile; no larger than the volume.
        starts: first voxels per axis.
        halo: how far the network sees per axis.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]
    halo: tuple[int, ...]

    def __iter__(self) -> Iterator[tuple[slice, ...]]:
        for corner in itertools.product(*self.starts):
            yield tuple(slice(c, c + t) for c, t in zip(corner, self.tile, strict=True))

    def __len__(self) -> int:
        return math.prod(len(starts) for starts in self.starts)

    @property
    def work(self) -> float:
        """Voxels that go through the network, as a multiple of the volume's."""
        return len(self) * math.prod(self.tile) / math.prod(self.shape)

    def weights(self, where: tuple[slice, ...]) -> Tensor:
        """``(*tile)`` float32: 0 in the halo at an inner border, 1 inside, linear between.

        The weights of all tiles that cover a voxel add up to 1. Tiles lie in rows along every axis
        and weights are products of one factor an axis, so that each axis is made to add up for
        itself, and no volume of weights is needed.
        """
        whole = torch.ones(())
        for axis, part in enumerate(where):
            factor = self.factor(axis, self.starts[axis].index(part.start))
            whole = whole.unsqueeze(-1) * factor
        return whole

    def factor(self, axis: int, number: int) -> Tensor:
        """``(tile[axis],)``: what the ``number``-th tile along an axis counts for there."""
        return self._factors[axis][number]

    @cached_property
    def _factors(self) -> tuple[tuple[Tensor, ...], ...]:
        factors = []
        for axis, starts in enumerate(self.starts):
            ramps = [self._ramp(axis, number) for number in range(len(starts))]
            total = torch.zeros(self.shape[axis])
            for start, ramp in zip(starts, ramps, strict=True):
                total[start : start + len(ramp)] += ramp
            factors.append(
                tuple(
                    ramp / total[start : start + len(ramp)]
                    for start, ramp in zip(starts, ramps, strict=True)
                )
            )
        return tuple(factors)

    def _ramp(self, axis: int, number: int) -> Tensor:
        """A tile's weight along one axis, before it is shared with its neighbours."""
        ramp, starts, tile = torch.ones(self.tile[axis]), self.starts[axis], self.tile[axis]
        if number > 0:
            rise = self._rise(axis, starts[number - 1] + tile - starts[number])
            ramp[: len(rise)] *= rise
        if number < len(starts) - 1:
            rise = self._rise(axis, starts[number] + tile - starts[number + 1])
            ramp[tile - len(rise) :] *= rise.flip(0)
        return ramp

    def _rise(self, axis: int, shared: int) -> Tensor:
        """From 0 to 1 over the voxels that two neighbours share; one's rise is the other's fall."""
        halo = self.halo[axis]
        # Where the halo does not fit in, what is far from the border counts most; but the seam must
        # not be hard.
        dropped = halo if 2 * halo <= shared else 2 * shared // 5
        length = shared - 2 * dropped
        slope = torch.arange(1, length + 1) / (length + 1)
        return torch.cat([torch.zeros(dropped), slope, torch.ones(dropped)])


def plan_tiles(
    shape: Sequence[int],
    *,
    halo: Sequence[int],
    multiple: Sequence[int],
    tile: Sequence[int] | None = None,
    voxels: int = 2**21,
    deepest: int | None = None,
    overlap: float = 0.25,
) -> TilePlan:
    """Chooses tiles: the whole volume if it is small enough, else those with the least work.

    Args:
        shape: the volume's; multiples of ``multiple``.
        halo: how far the network sees per axis.
        multiple: the voxels between two of the network's coarsest level, per axis.
        tile: the tile's shape, if the user wants a certain one; rounded down to ``multiple``.
        voxels: at most so many voxels a tile, if not.
        deepest: at most so many voxels of a tile along the last axis.
        overlap: at least this fraction of a tile is shared with the next one; more, to be
            exact, where the tile is larger than twice the halo and that costs at most 3.5
            times the volume.

    Raises:
        ParameterError: a shape that is no multiple of ``multiple``.
    """
    if any(s % m for s, m in zip(shape, multiple, strict=True)):
        raise ParameterError(f"The shape {tuple(shape)} is no multiple of {tuple(multiple)}.")
    axes = [_Axis(s, h, m, overlap) for s, h, m in zip(shape, halo, multiple, strict=True)]
    if deepest is not None:
        axes[-1] = replace(axes[-1], most=max(deepest, axes[-1].multiple))
    if tile is not None:
        chosen = [
            min(max(t // a.multiple * a.multiple, a.multiple), a.size, a.longest)
            for t, a in zip(tile, axes, strict=True)
        ]
        cost = math.prod(
            t * (len(a.starts(t, exact=True)) or math.inf)
            for a, t in zip(axes, chosen, strict=True)
        )
        exact = cost <= _MOST_WORK * math.prod(shape)
    else:
        chosen, exact = _cheapest(axes, voxels)
    starts = [axis.starts(t, exact=exact) for axis, t in zip(axes, chosen, strict=True)]
    return TilePlan(tuple(shape), tuple(chosen), tuple(starts), tuple(halo))


@dataclass(frozen=True)
class _Axis:
    """One axis of a volume that is to be tiled."""

    size: int
    halo: int
    multiple: int
    overlap: float
    most: int | None = None

    def starts(self, tile: int, *, exact: bool) -> tuple[int, ...]:
        """Evenly placed first voxels; none if the tile is too small to be exact."""
        if tile >= self.size:
            return (0,)
        shared = math.ceil(tile * self.overlap)
        if exact:
            shared = max(shared, 2 * self.halo)
            if tile - shared < self.multiple:
                return ()
        # In units of ``multiple``, so that every start is one.
        step = max((tile - shared) // self.multiple, 1)
        way = (self.size - tile) // self.multiple
        gaps = -(-way // step)
        return tuple(self.multiple * (i * way // gaps) for i in range(gaps + 1))

    @property
    def longest(self) -> int:
        """The longest tile that is allowed."""
        most = self.size if self.most is None else self.most // self.multiple * self.multiple
        return min(self.size, most)

    def view(self, tile: int) -> float:
        """How far a tile reaches, in halos; the whole axis is as good as any number of them."""
        return math.inf if tile >= self.size else tile / max(self.halo, 1)

    def choices(self, *, exact: bool) -> list[tuple[int, int]]:
        """(tile, count): the smallest tile for each count, the whole axis first."""
        smallest: dict[int, int] = {}
        for tile in range(self.longest, 0, -self.multiple):
            starts = self.starts(tile, exact=exact)
            if starts:
                smallest[len(starts)] = tile
        return [(tile, count) for count, tile in smallest.items()]


def _cheapest(axes: Sequence[_Axis], voxels: int) -> tuple[list[int], bool]:
    """The exact tile with the least work among those that fit, or else the widest that fits."""
    most = _MOST_WORK * math.prod(axis.size for axis in axes)
    ranked: list[tuple[float, float, list[int]]] = []
    for exact in (True, False):
        for choice in itertools.product(*(axis.choices(exact=exact) for axis in axes)):
            tile = [t for t, _ in choice]
            work = math.prod(t * n for t, n in choice)
            if math.prod(tile) <= voxels and not (exact and work > most):
                narrow = 0.0 if exact else -min(a.view(t) for a, t in zip(axes, tile, strict=True))
                ranked.append((narrow, work, tile))
        if ranked:
            return min(ranked)[2], exact
    return [axis.multiple for axis in axes], False  # the smallest that there is
