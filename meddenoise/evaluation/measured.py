"""A number with what it needs to be believed: unit, convention, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from meddenoise.errors import MissingDependency, ParameterError

__all__ = ["Measured", "measured", "undefined"]


@dataclass(frozen=True)
class Measured:
    """What one metric found.

    Attributes:
        value: finite, or ``None`` where the metric is undefined.
        unit: of the value; ``""`` for a pure number.
        convention: how it was measured, in words.
        reason: why there is no value, else ``""``.
    """

    value: float | None
    unit: str = ""
    convention: str = ""
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON; ``reason`` only where there is no value."""
        told: dict[str, Any] = {"value": self.value, "unit": self.unit}
        told["convention"] = self.convention
        return told if self.value is not None else told | {"reason": self.reason}


def measured(find: Callable[[], float | None], *, unit: str = "", convention: str = "") -> Measured:
    """What ``find`` returns, or why it cannot be told.

    Args:
        find: a metric without arguments; one that raises :class:`ParameterError` (undefined here)
            or :class:`MissingDependency` has no value, and its message is the reason.
        unit: of the value.
        convention: how it is measured.
    """
    try:
        value = find()
    except (ParameterError, MissingDependency) as fault:
        return undefined(str(fault), unit=unit, convention=convention)
    if value is None or not math.isfinite(value):
        said = "not a number" if value is None or math.isnan(value) else "infinite"
        return undefined(said, unit=unit, convention=convention)
    return Measured(float(value), unit, convention)


def undefined(reason: str, *, unit: str = "", convention: str = "") -> Measured:
    """A metric without a value, and why."""
    return Measured(None, unit, convention, reason)
