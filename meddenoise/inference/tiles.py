"""Cuts a volume into overlapping tiles and blends what comes back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["TilePlan", "plan_tiles"]


@dataclass(frozen=True)
class TilePlan:
    """Where the tiles of a volume lie.

    Attributes:
        shape: of the volume.
        tile: of every tile; no larger than the volume.
        starts: first voxels per axis.
        overlap: voxels that two neighbours share at least, per axis.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]
    overlap: tuple[int, ...]

    def __iter__(self) -> Iterator[tuple[slice, ...]]:
        for corner in itertools.product(*self.starts):
            yield tuple(slice(c, c + t) for c, t in zip(corner, self.tile, strict=True))

    def __len__(self) -> int:
        return math.prod(len(starts) for starts in self.starts)

    def weights(self, where: tuple[slice, ...]) -> Tensor:
        """``(*tile)`` float32: 1 inside, falling linearly over the overlap to a neighbour.

        The outer half of a tile's halo, where the network sees the tile's padded border,
        counts least. Weights are separable and never 0, so that they can be divided out.
        """
        whole = torch.ones(self.tile)
        for axis, (part, size) in enumerate(zip(where, self.shape, strict=True)):
            ramp = torch.ones(self.tile[axis])
            width = self.overlap[axis]
            slope = torch.arange(1, width + 1) / (width + 1)
            if part.start > 0:
                ramp[:width] = slope
            if part.stop < size:
                ramp[self.tile[axis] - width :] = slope.flip(0)
            whole = whole * ramp.view([-1 if a == axis else 1 for a in range(len(self.shape))])
        return whole


def plan_tiles(
    shape: Sequence[int],
    *,
    halo: Sequence[int],
    tile: Sequence[int] | None = None,
    voxels: int = 2**21,
    overlap: float = 0.25,
) -> TilePlan:
    """Chooses tiles: the whole volume if it is small enough, else slabs and blocks.

    Args:
        shape: the volume's.
        halo: how far the network sees per axis; no tile overlaps less than that, if it is
            given large enough tiles.
        tile: the tile's shape, if the user wants a certain one.
        voxels: at most so many voxels a tile, if not.
        overlap: at least this fraction of a tile is shared with the next one.
    """
    size = list(shape) if tile is None else [min(t, s) for t, s in zip(tile, shape, strict=True)]
    if tile is None:
        # Halve the longest axis until it fits: tiles stay as cubic as they can, which keeps
        # the share of overlap small.
        while math.prod(size) > voxels and max(size) > 8:
            longest = size.index(max(size))
            size[longest] = math.ceil(size[longest] / 2)
    shared = [
        min(max(math.ceil(t * overlap), 2 * h), t // 2) if t < s else 0
        for t, s, h in zip(size, shape, halo, strict=True)
    ]
    starts = []
    for s, t, o in zip(shape, size, shared, strict=True):
        count = 1 if t == s else math.ceil((s - t) / max(t - o, 1)) + 1
        starts.append(tuple(round(i * (s - t) / max(count - 1, 1)) for i in range(count)))
    return TilePlan(tuple(shape), tuple(size), tuple(starts), tuple(shared))
