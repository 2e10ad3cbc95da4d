"""What a pass over a scan finds: mean, deviation, extremes, and what is no number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.transforms.normalisation import Normalisation

__all__ = ["Summed", "Sums"]

# So many values, and what is made of them, stay in the cache from one sum to the next.
_IN_CACHE = 2**16


@dataclass
class Sums:
    """What a pass over a channel finds.

    Attributes:
        count: voxels that are finite.
        mean, squares: their mean, and the sum of squares about it.
        low, high: the smallest and the largest.
        missing: voxels that are not finite.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    missing: int = 0

    @property
    def blank(self) -> bool:
        """Whether there is nothing in it: no finite voxel, or all are the same."""
        return not self.count or self.low == self.high

    def add(self, values: NDArray[np.floating]) -> None:
        """More values; Chan, Golub and LeVeque, "Updating formulae", 1979, equation 2.1."""
        flat = values.ravel(order="K")
        for first in range(0, flat.size, _IN_CACHE):
            self._add(flat[first : first + _IN_CACHE])

    def _add(self, values: NDArray[np.floating]) -> None:
        finite = np.isfinite(values)
        found = values if finite.all() else values[finite]
        self.missing += values.size - found.size
        if not found.size:
            return
        apart = found.astype(np.float64)
        mean = float(apart.mean())
        apart -= mean
        squares = float(np.dot(apart, apart))
        total = self.count + found.size
        moved = mean - self.mean
        # Not moved**2, which is an error where the product is infinite.
        self.squares += squares + moved * moved * self.count * found.size / total
        self.mean += moved * found.size / total
        self.count = total
        self.low, self.high = min(self.low, float(found.min())), max(self.high, float(found.max()))

    def normalisation(self, values: NDArray[np.floating] | None, **how: Any) -> Normalisation:
        """What :meth:`Normalisation.fit` finds, without another pass where none is needed.

        Args:
            values: the channel or a sample of it, for percentiles.
            how: as for :meth:`Normalisation.fit`.

        Raises:
            ParameterError: as there, or values whose squares are beyond all numbers.
        """
        if how["method"] == "standard":
            # Two values with that mean and deviation.
            spread = math.sqrt(self.squares / self.count)
            if not math.isfinite(spread):
                raise ParameterError(
                    f"The image has values from {self.low:.3g} to {self.high:.3g}, too far apart "
                    "to normalise by 'standard': rescale it, or mask them."
                )
            return Normalisation.fit(np.array([self.mean - spread, self.mean + spread]), **how)
        return Normalisation.fit(np.zeros(0) if values is None else values, **how)

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
        """Whether there is nothing in it: no finite voxel, or all channels are of one value."""
        return not self.lowest < max(sums.high for sums in self.sums)

    @property
    def lowest(self) -> float:
        """The smallest value; infinite if none is finite."""
        return min(sums.low for sums in self.sums)
