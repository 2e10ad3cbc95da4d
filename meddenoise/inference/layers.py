"""A network over a volume of any size: planes go in from first to last, and finished ones come out.

Tiles lie in layers across the last axis, along which scans are stored plane by plane. Of the
input only the planes of one layer are kept, and of the result only those that the next layer still
changes, so the memory does not depend on how many planes there are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from meddenoise.inference.tiles import TilePlan
from meddenoise.networks.layers import mirrored

__all__ = ["Launch", "continued", "layered", "sliced"]

# A tile (N, C, *tile) on the CPU to a function that waits for its result (N, 1, *tile), on the CPU
# as well: on a GPU the next tile is begun before the last one's result is fetched.
Launch = Callable[[Tensor], Callable[[], Tensor]]

# Finished planes are handed on in parts of about so many voxels.
_PART = 2**20

# Of planes that are turned so many at once.
_AT_ONCE = 32


def continued(parts: Iterator[Tensor], plan: TilePlan, depth: int) -> Iterator[Tensor]:
    """A scan up to the shape of its plan, mirrored at its far ends.

    Args:
        parts: ``(n, C, X, Y)``.
        plan: the tiles; of a plane or of the volume.
        depth: planes of all parts.

    Yields:
        ``(n, C, *plan.shape[:2])``, in order; as many planes as the plan has, if it has any.
    """
    beyond = plan.shape[2] - depth if len(plan.shape) > 2 else 0
    last: list[Tensor] = []
    done = 0
    for part in parts:
        for axis in (2, 3):
            part = mirrored(part, axis, plan.shape[axis - 2] - part.shape[axis])
        yield part
        done += len(part)
        if done > depth - beyond:
            last.append(part[-beyond:].clone())
    if beyond:
        yield mirrored(torch.cat(last)[-beyond:], 0, beyond)[-beyond:]


def sliced(
    launch: Launch, planes: Iterator[Tensor], plan: TilePlan, *, most: int, told: Callable[[], None]
) -> Iterator[Tensor]:
    """A 2-D network over every plane for itself.

    Args:
        launch: the network on ``(N, C, *tile)``.
        planes: parts ``(n, C, X, Y)`` of the input, padded to the plan.
        plan: the tiles of a plane.
        most: voxels that go through the network at once.
        told: called after each tile of a batch of planes.

    Yields:
        ``(n, X, Y)`` float32, in order.
    """
    batch = max(1, most // math.prod(plan.tile))
    for part in _batches(planes, batch):
        if len(plan) == 1:
            yield _own(launch(part)()[:, 0])
            told()
            continue
        total = torch.zeros(len(part), *plan.shape)
        for where, result in _in_turn(launch, ((w, part[:, :, w[0], w[1]]) for w in plan)):
            total[:, where[0], where[1]] += result[:, 0] * plan.weights(where)
            told()
        yield total


def _batches(parts: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """The same planes in batches of ``size``, the last one perhaps smaller."""
    waiting: list[Tensor] = []
    count = 0
    for part in parts:
        for piece in part.split(size):
            waiting.append(piece)
            count += len(piece)
            if count >= size:
                whole = torch.cat(waiting) if len(waiting) > 1 else waiting[0]
                yield whole[:size]
                waiting = [whole[size:]] if count > size else []
                count -= size
    if waiting:
        yield torch.cat(waiting)


def _in_turn(
    launch: Launch, tiles: Iterator[tuple[tuple[slice, ...], Tensor]]
) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
    """Each tile's place and result; one tile is always under way."""
    waiting: tuple[tuple[slice, ...], Callable[[], Tensor]] | None = None
    for where, x in tiles:
        begun = (where, launch(x))
        if waiting is not None:
            yield waiting[0], waiting[1]()
        waiting = begun
    if waiting is not None:
        yield waiting[0], waiting[1]()


def layered(
    launch: Launch, planes: Iterator[Tensor], plan: TilePlan, *, told: Callable[[], None]
) -> Iterator[Tensor]:
    """A 3-D network over a volume.

    Args:
        launch: the network on ``(1, C, *tile)``.
        planes: parts ``(n, C, X, Y)`` of the input, as many planes as the plan has.
        plan: the tiles.
        told: called after each tile.

    Yields:
        ``(n, X, Y)`` float32, finished planes in order; together as many as the plan has.
    """
    if len(plan) == 1:
        result = launch(_whole(planes, plan.tile[2]))()
        told()
        yield from _in_planes(result[0, 0]).split(_part(plan))
        return
    window = _Window(planes, plan.tile[2])
    starts = plan.starts[2]
    lives = [_live(plan, number) for number in range(len(starts))]
    room = max(last - first for first, last in lives)
    total = _planes_like_files(room, *plan.shape[:2]).zero_()
    across = [*itertools.product(*plan.starts[:2])]
    for number, start in enumerate(starts):
        first, last = lives[number]
        here = window.at(start)
        depth = plan.factor(2, number)[first - start : last - start]

        def tiles(
            here: Tensor = here, start: int = start
        ) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
            for corner in across:
                where = tuple(slice(c, c + t) for c, t in zip(corner, plan.tile, strict=False))
                yield where, _as_tile(here[:, :, where[0], where[1]])

        for where, result in _in_turn(launch, tiles()):
            flat = plan.factor(0, plan.starts[0].index(where[0].start))[:, None] * plan.factor(
                1, plan.starts[1].index(where[1].start)
            )
            live = _in_planes(result[0, 0, :, :, first - start : last - start])
            live.mul_(flat).mul_(depth[:, None, None])
            total[: last - first, where[0], where[1]] += live
            told()
        # What lies before the next layer's first voxel that counts is finished.
        until = lives[number + 1][0] if number + 1 < len(starts) else last
        done = until - first
        for part in total[:done].split(_part(plan)):
            yield part.clone()
        rest = last - until
        total[:rest] = total[done : done + rest].clone()
        total[rest:] = 0


def _whole(planes: Iterator[Tensor], depth: int) -> Tensor:
    """``(1, C, X, Y, depth)``: all planes."""
    x: Tensor | None = None
    end = 0
    for part in planes:
        if x is None:
            x = part.new_empty(1, part.shape[1], *part.shape[2:], depth)
        x[0, ..., end : end + len(part)] = part.permute(1, 2, 3, 0)
        end += len(part)
    assert x is not None
    assert end == depth
    return x


def _in_planes(x: Tensor) -> Tensor:
    """``(X, Y, Z)`` as ``(Z, X, Y)``, planes as they lie in files: Y slower than X. A new tensor.

    Two turns of a matrix each, which torch does block by block in the cache, take a third of the
    time of one turn of a volume.
    """
    rows = x.reshape(len(x), -1).t().clone(memory_format=torch.contiguous_format)
    return rows.view(*x.shape[1:], len(x)).permute(1, 2, 0)


def _own(planes: Tensor) -> Tensor:
    """``(n, X, Y)`` that may be written to, whatever a network gave it out from."""
    return _planes_like_files(*planes.shape).copy_(planes)


def _planes_like_files(count: int, *plane: int) -> Tensor:
    """``(count, ..., X, Y)``, nothing in it yet; Y slower than X."""
    return torch.empty(count, *plane[:-2], plane[-1], plane[-2]).transpose(-1, -2)


def _as_tile(planes: Tensor) -> Tensor:
    """``(n, C, X, Y)`` as ``(1, C, X, Y, n)``, a few planes at a time, which stay in the cache."""
    x = planes.new_empty(1, *planes.shape[1:], len(planes))
    for first in range(0, len(planes), _AT_ONCE):
        part = planes[first : first + _AT_ONCE]
        x[0, ..., first : first + len(part)] = part.permute(1, 2, 3, 0)
    return x


def _part(plan: TilePlan) -> int:
    return max(1, _PART // math.prod(plan.shape[:2]))


def _live(plan: TilePlan, number: int) -> tuple[int, int]:
    """First and last plane, plus one, for which a layer's tiles count."""
    counts = plan.factor(2, number).nonzero()
    start = plan.starts[2][number]
    return start + int(counts[0]), start + int(counts[-1]) + 1


class _Window:
    """The last ``depth`` planes of those that have come."""

    def __init__(self, planes: Iterator[Tensor], depth: int) -> None:
        self._planes, self._depth = planes, depth
        self._kept: Tensor | None = None
        self._first = self._end = 0
        self._spare: Tensor | None = None

    def at(self, start: int) -> Tensor:
        """``(depth, C, X, Y)``: the planes from ``start`` on; never go back."""
        if self._kept is None:
            self._spare = next(self._planes)
            self._kept = _planes_like_files(self._depth, *self._spare.shape[1:])
        elif start > self._first:
            rest = max(self._end - start, 0)
            moved = self._kept[self._end - self._first - rest : self._end - self._first]
            # Parts that do not overlap are moved without a copy of all.
            step = max(start - self._first, 1)
            for begin in range(0, rest, step):
                self._kept[begin : min(begin + step, rest)] = moved[begin : begin + step]
        self._first = start
        self._fill()
        return self._kept

    def _fill(self) -> None:
        assert self._kept is not None
        while (room := self._first + self._depth - self._end) > 0:
            part = self._spare if self._spare is not None else next(self._planes, None)
            place = self._end - self._first
            assert part is not None
            taken = part[:room]
            self._kept[place : place + len(taken)] = taken
            self._end += len(taken)
            self._spare = part[room:] if len(part) > room else None
