"""How strong noise is: in image units, as a percentage or an SNR, one value or a range."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from meddenoise.errors import ParameterError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "REFERENCE_PERCENTILE",
    "Level",
    "Range",
    "parse_fraction",
    "parse_level",
    "parse_number",
    "reference_intensity",
]

# The brightest voxel is often an artefact or a vessel; one in a thousand may be.
REFERENCE_PERCENTILE = 99.9

_SNR = re.compile(r"^snr\s*", re.IGNORECASE)

Number = TypeVar("Number", float, "Tensor")


@dataclass(frozen=True)
class Range:
    """Numbers to draw from, uniformly.

    Attributes:
        low: the smallest; finite.
        high: the largest; equal to ``low`` if there is nothing to draw.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ParameterError(f"The range {self} is not finite.")
        if self.high < self.low:
            raise ParameterError(f"The range {self} runs downwards: give low, then high.")

    @property
    def is_range(self) -> bool:
        """Whether there is something to draw."""
        return self.high > self.low

    def at(self, u: Number) -> Number:
        """The number at ``u`` of the way from low to high.

        Args:
            u: in [0, 1), uniformly random; the same ``u`` gives the same number. A number, or a
                tensor with one per sample.

        Raises:
            ParameterError: ``u`` outside [0, 1).
        """
        if not _all((u >= 0) & (u < 1)):
            raise ParameterError(f"u is {u}: a place in a range is at least 0 and below 1.")
        return self.low + u * (self.high - self.low)

    def __str__(self) -> str:
        ends = [self._say(value) for value in (self.low, self.high)]
        return ends[0] if self.low == self.high else f"{ends[0]} to {ends[1]}"

    def _say(self, value: float) -> str:
        return f"{value:.6g}"


@dataclass(frozen=True)
class Level(Range):
    """A noise level, or a range of levels.

    Attributes:
        low: at least 0; for an SNR above 0.
        high: equal to ``low`` unless this is a range.
        unit: ``""``: image units; ``"%"``: percent of the reference intensity; ``"SNR"``: the
            reference intensity divided by the level.
    """

    unit: Literal["", "%", "SNR"] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low < 0 or (self.unit == "SNR" and self.low == 0):
            least = "above 0" if self.unit == "SNR" else "at least 0"
            raise ParameterError(f"A noise level of {self} is impossible: it must be {least}.")

    def draw(self, u: Number, reference: Number) -> Number:
        """The level in image units at ``u`` of the way through the range.

        Args:
            u: as for :meth:`Range.at`.
            reference: the intensity that percentages and SNRs are of,
                :func:`reference_intensity`; a number or a tensor like ``u``.

        Raises:
            ParameterError: ``u`` outside [0, 1), or a percentage or SNR of something not positive.
        """
        value = self.at(u)
        if not self.unit:
            return value
        if not _all((reference > 0) & (reference < math.inf)):
            raise ParameterError(
                f"The noise level {self} refers to the image's {REFERENCE_PERCENTILE:g}th "
                f"percentile, but that is {reference}: give the level in image units instead."
            )
        return value / 100 * reference if self.unit == "%" else reference / value

    def _say(self, value: float) -> str:
        return f"SNR {value:.6g}" if self.unit == "SNR" else f"{value:.6g}{self.unit}"


def parse_level(text: Any) -> Level:
    """A level as people write it: ``25.0``, ``"25"``, ``"10%"``, ``"SNR 20"``, ``["2%", "15%"]``.

    The SNR is that of the peak: the reference intensity, the image's 99.9th percentile, divided
    by the level. So "SNR 20" is "5%". Others divide a tissue's mean by it; such an SNR is lower.

    Args:
        text: a number in image units; a string, with ``%`` for a percentage of the reference
            or ``SNR`` before it; or two of them, low and high, both of one kind.

    Raises:
        ParameterError: anything else, a negative or non-finite level, or high below low.
    """
    if isinstance(text, Level):
        return text
    (low, unit), (high, other) = _ends(text, _one_level, "noise levels")
    if unit != other:
        raise ParameterError(f"The range {text!r} mixes units: give both ends alike.")
    return Level(low, high, unit)


def parse_fraction(text: Any) -> float | Range:
    """A fraction, ``0.25`` or ``"25%"``, or a range of two of them.

    Raises:
        ParameterError: anything else, or not above 0 and at most 1.
    """
    if isinstance(text, Range):
        return text
    low, high = _ends(text, _one_fraction, "fractions")
    return Range(low, high) if isinstance(text, (list, tuple)) else low


def parse_number(value: Any) -> float | Range:
    """A number, or a range of two of them, ``[low, high]``.

    Raises:
        ParameterError: anything else, or a number that is not finite.
    """
    if isinstance(value, Range):
        return value
    low, high = _ends(value, _one_number, "numbers")
    return Range(low, high) if isinstance(value, (list, tuple)) else low


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


def _ends(value: Any, read: Callable[[Any], Any], what: str) -> tuple[Any, Any]:
    """Both ends of a range; of a single value, that value twice."""
    if not isinstance(value, (list, tuple)):
        return (read(value),) * 2
    if len(value) != 2:
        raise ParameterError(f"A range of {what} is [low, high], not {value!r}.")
    return read(value[0]), read(value[1])


def _one_level(text: Any) -> tuple[float, Literal["", "%", "SNR"]]:
    """A single level: its value and its unit."""
    unit: Literal["", "%", "SNR"] = ""
    number = text
    if isinstance(text, str):
        if _SNR.match(text.strip()):
            unit, number = "SNR", _SNR.sub("", text.strip())
        elif text.strip().endswith("%"):
            unit, number = "%", text.strip()[:-1]
    value = _float(number)
    if not math.isfinite(value) or value < 0 or (unit == "SNR" and value == 0):
        raise ParameterError(
            f"{text!r} is no noise level: give a number of at least 0 in image units (25), a "
            "percentage of the image's 99.9th percentile ('10%'), that percentile divided by the "
            "level ('SNR 20'), or a range of two alike."
        )
    return value, unit


def _one_fraction(text: Any) -> float:
    percent = isinstance(text, str) and text.strip().endswith("%")
    value = _float(text.strip()[:-1]) / 100 if percent else _float(text)
    if not 0 < value <= 1:
        raise ParameterError(
            f"{text!r} is no fraction: give a number above 0 and at most 1 (or 100%), or a range "
            "of two of them."
        )
    return value


def _one_number(value: Any) -> float:
    number = math.nan if isinstance(value, str) else _float(value)
    if not math.isfinite(number):
        raise ParameterError(f"{value!r} is no finite number, nor a range [low, high] of two.")
    return number


def _float(text: Any) -> float:
    """What a text or number says; not a number if it says nothing."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float, np.number)):
        return math.nan
    try:
        return float(text)
    except (OverflowError, ValueError):  # a whole number may have hundreds of digits
        return math.nan


def _all(condition: object) -> bool:
    """The truth of a bool, or of every element of a bool tensor."""
    return bool(condition.all() if hasattr(condition, "all") else condition)
