"""Planes that come in parts of one size and are wanted in parts of another."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["Originals", "Taken"]


class Taken:
    """Planes in parts of any size."""

    def __init__(self, planes: Iterator[NDArray]) -> None:
        self._planes = planes
        self._spare: NDArray | None = None

    def next(self, count: int) -> NDArray:
        """The next ``count`` planes."""
        parts: list[NDArray] = []
        while count > 0:
            part = next(self._planes) if self._spare is None else self._spare
            parts.append(part[..., :count])
            self._spare = part[..., count:] if part.shape[2] > count else None
            count -= parts[-1].shape[2]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


class Originals:
    """Parts of a scan as they were, and which of their voxels were measured, of any size.

    Args:
        pairs: as :meth:`meddenoise.io.plane_scan.PlaneScan.originals` gives them.
    """

    def __init__(self, pairs: Iterator[tuple[NDArray[np.floating], NDArray[np.bool_]]]) -> None:
        one, other = itertools.tee(pairs)
        self._values = Taken(values for values, _ in one)
        self._measured = Taken(measured for _, measured in other)

    def next(self, count: int) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        """The next ``count`` planes."""
        return self._values.next(count), self._measured.next(count)
