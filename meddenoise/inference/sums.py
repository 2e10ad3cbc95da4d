"""What a pass over a scan finds: mean, deviation, extremes, and what is no number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Summed", "Sums"]


@dataclass
class Sums:
    """What a pass over a channel finds.

    Attributes:
        count: voxels that are finite.
        mean, squares: their mean, and the sum of squares about it.
        low, high: the smallest and the largest.
        missing: voxels that are not finite.
        sample: some of the values, in float32.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    missing: int = 0
    sample: list[NDArray[np.floating]] | None = None

    @property
    def blank(self) -> bool:
        """Whether there is nothing in it: no finite voxel, or all are the same."""
        return not self.count or self.low == self.high

    def add(self, values: NDArray[np.floating]) -> None:
        """More values; Chan, Golub and LeVeque, "Updating formulae", 1979, equation 2.1."""
        found = values[np.isfinite(values)] if not np.isfinite(values).all() else values
        self.missing += values.size - found.size
        if not found.size:
            return
        mean = float(found.mean(dtype=np.float64))
        squares = float(np.square(found - mean, dtype=np.float64).sum())
        total = self.count + found.size
        apart = mean - self.mean
        self.squares += squares + apart**2 * self.count * found.size / total
        self.mean += apart * found.size / total
        self.count = total
        self.low, self.high = min(self.low, float(found.min())), max(self.high, float(found.max()))

    @classmethod
    def of(cls, parts: Iterable[NDArray[np.floating]]) -> Sums:
        """Of a channel that comes in parts."""
        sums = cls()
        for part in parts:
            sums.add(part)
        return sums


class Summed:
    """What is known of a scan once all its channels were passed over.

    Attributes:
        sums: one a channel.
    """

    sums: Sequence[Sums]

    @property
    def untouched(self) -> int:
        """Voxels that are not finite, and stay as they are."""
        return sum(sums.missing for sums in self.sums)

    @property
    def blank(self) -> bool:
        """Whether there is nothing in any channel."""
        return all(sums.blank for sums in self.sums)

    @property
    def lowest(self) -> float:
        """The smallest value of the first channel; infinite if none is finite."""
        return self.sums[0].low
