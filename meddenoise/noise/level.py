"""How strong noise is: a number in image units, a percentage of the image's range, or a span."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from meddenoise.errors import ParameterError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["REFERENCE_PERCENTILE", "Level", "parse_level", "reference_intensity"]

# The brightest voxel is often an artefact or a vessel; one in a thousand may be.
REFERENCE_PERCENTILE = 99.9

Number = TypeVar("Number", float, "Tensor")


@dataclass(frozen=True)
class Level:
    """A noise level, or a range of levels to draw from.

    Attributes:
        low: the level, or the smallest one of a range; at least 0.
        high: equal to ``low`` unless this is a range.
        relative: ``low`` and ``high`` are fractions of a reference intensity
            (0.1 for "10%"), not numbers in image units.
    """

    low: float
    high: float
    relative: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low >= 0):
            raise ParameterError(
                f"A noise level of {self} is impossible: it must be finite and at least 0."
            )
        if self.high < self.low:
            raise ParameterError(f"The level range {self} runs downwards: give low, then high.")

    @property
    def is_range(self) -> bool:
        """Whether there is something to draw."""
        return self.high > self.low

    def resolve(self, reference: float) -> float:
        """The level in image units.

        Args:
            reference: the intensity that percentages are of, :func:`reference_intensity`.

        Raises:
            ParameterError: this is a range, or a percentage of something not positive.
        """
        if self.is_range:
            raise ParameterError(f"The level {self} is a range: one level was expected.")
        return self.draw(0.0, reference)

    def draw(self, u: Number, reference: Number) -> Number:
        """The level in image units at ``u`` of the way through the range.

        Args:
            u: in [0, 1), uniformly random; the same ``u`` gives the same level. A number, or
                a tensor with one per sample.
            reference: as in :meth:`resolve`, a number or a tensor like ``u``.

        Raises:
            ParameterError: ``u`` outside [0, 1), or a percentage of something not positive.
        """
        if not _all((u >= 0) & (u < 1)):
            raise ParameterError(f"u is {u}: a place in a range is at least 0 and below 1.")
        level = self.low + u * (self.high - self.low)
        if not self.relative:
            return level
        if not _all((reference > 0) & (reference < math.inf)):
            raise ParameterError(
                f"The noise level is {self} of the image's {REFERENCE_PERCENTILE:g}th percentile, "
                f"but that is {reference}: give the level in image units instead."
            )
        return level * reference

    def __str__(self) -> str:
        ends = [f"{v * 100:.6g}%" if self.relative else f"{v:.6g}" for v in (self.low, self.high)]
        return ends[0] if self.low == self.high else f"{ends[0]} to {ends[1]}"


def parse_level(text: str | float | Sequence[str | float] | Level) -> Level:
    """A level as people write it: ``25.0``, ``"25"``, ``"10%"``, or ``["2%", "15%"]``.

    Args:
        text: a number in image units; a string, with ``%`` for a percentage of the image's
            99.9th percentile; or two of them, low and high, both of one kind.

    Raises:
        ParameterError: anything else, a negative or non-finite level, or high below low.
    """
    if isinstance(text, Level):
        return text
    if isinstance(text, (list, tuple)):
        if len(text) != 2:
            raise ParameterError(f"A range of noise levels is [low, high], not {text!r}.")
        (low, low_relative), (high, high_relative) = map(_one, text)
        if low_relative != high_relative:
            raise ParameterError(
                f"The range {text!r} mixes a percentage with image units: give both alike."
            )
        return Level(low, high, low_relative)
    value, relative = _one(text)
    return Level(value, value, relative)


def reference_intensity(array: ArrayLike) -> float:
    """What noise percentages are of: the 99.9th percentile of the finite voxels.

    Args:
        array: an image of any shape and unit.

    Returns:
        A float in the image's units.

    Raises:
        ParameterError: there is no finite voxel.
    """
    values = np.asarray(array)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        raise ParameterError("The image has no finite voxel, so its intensity range is unknown.")
    return float(np.percentile(finite, REFERENCE_PERCENTILE))


def _one(text: object) -> tuple[float, bool]:
    """A single level: its value, and whether it was a percentage."""
    relative = False
    value: float
    if isinstance(text, str):
        stripped = text.strip()
        relative = stripped.endswith("%")
        try:
            value = float(stripped.removesuffix("%"))
        except ValueError:
            value = math.nan
    elif isinstance(text, (int, float, np.number)) and not isinstance(text, bool):
        value = float(text)
    else:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise ParameterError(
            f"{text!r} is no noise level: give a number of at least 0 in image units (25), a "
            "percentage of the image's 99.9th percentile ('10%'), or a range of two of them."
        )
    return (value / 100 if relative else value), relative


def _all(condition: object) -> bool:
    """The truth of a bool, or of every element of a bool tensor."""
    return bool(condition.all() if hasattr(condition, "all") else condition)
