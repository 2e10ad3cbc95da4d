"""Planes that come in parts of one size and are wanted in parts of another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["Originals", "Taken"]


class _Cut:
    """Arrays ``(X, Y, n)`` that go together: no more than a part of each is held beside what is
    asked for."""

    def __init__(self, parts: Iterator[tuple[NDArray, ...]]) -> None:
        self._parts = parts
        self._spare: tuple[NDArray, ...] | None = None

    def next(self, count: int) -> tuple[NDArray, ...]:
        taken: list[tuple[NDArray, ...]] = []
        while count > 0:
            part = next(self._parts) if self._spare is None else self._spare
            taken.append(tuple(array[..., :count] for array in part))
            more = part[0].shape[2] > count
            self._spare = tuple(array[..., count:] for array in part) if more else None
            count -= taken[-1][0].shape[2]
        if len(taken) == 1:
            return taken[0]
        return tuple(np.concatenate(arrays, axis=2) for arrays in zip(*taken, strict=True))


class Taken:
    """Planes in parts of any size."""

    def __init__(self, planes: Iterator[NDArray]) -> None:
        self._cut = _Cut((part,) for part in planes)

    def next(self, count: int) -> NDArray:
        """The next ``count`` planes."""
        return self._cut.next(count)[0]


class Originals:
    """Parts of a scan as they were, and which of their voxels were measured, of any size.

    Args:
        pairs: as :meth:`meddenoise.io.plane_scan.PlaneScan.originals` gives them.
    """

    def __init__(self, pairs: Iterator[tuple[NDArray[np.floating], NDArray[np.bool_]]]) -> None:
        self._cut = _Cut(pairs)

    def next(self, count: int) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        """The next ``count`` planes."""
        values, measured = self._cut.next(count)
        return values, measured
