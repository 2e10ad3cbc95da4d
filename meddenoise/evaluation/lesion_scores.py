"""What a method leaves of lesions: a score for each size and contrast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from meddenoise.evaluation.observer import Detectability
from meddenoise.evaluation.scope import Scope
from meddenoise.evaluation.statistics import Mean

__all__ = ["LesionCheck", "LesionScore"]


@dataclass(frozen=True, eq=False)
class LesionScore:
    """What one method leaves of lesions of one size and contrast.

    Attributes:
        method: its name, ``"noisy"`` for none.
        diameter: in mm.
        contrast: in image units.
        lesions: how many.
        recovery: the contrast that is left, as a fraction, with its 95 % bootstrap interval.
        detectability: of an observer; ``None`` where it cannot be told.
        reason: why not.
        beyond_noisy: d' minus that in the noisy scan, with its interval.
        beyond_reference: d' minus that after the reference filter.
    """

    method: str
    diameter: float
    contrast: float
    lesions: int
    recovery: Mean
    detectability: Detectability | None
    reason: str = ""
    beyond_noisy: Mean | None = None
    beyond_reference: Mean | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON."""
        seen = self.detectability
        told: dict[str, Any] = {
            "method": self.method,
            "diameter_mm": self.diameter,
            "contrast": self.contrast,
            "lesions": self.lesions,
            "contrast_recovery": _plain(self.recovery),
            "d_prime": None if seen is None else _plain(seen.d_prime),
            "auc": None if seen is None else _plain(seen.auc),
            "d_prime_beyond_noisy": _plain(self.beyond_noisy),
            "d_prime_beyond_reference": _plain(self.beyond_reference),
        }
        return told if seen is not None else told | {"reason": self.reason}


@dataclass(frozen=True, eq=False)
class LesionCheck:
    """All methods on all lesions.

    Attributes:
        scores: by size and contrast, then the noisy scan, the reference filter, the methods.
        conventions: what the numbers mean, a sentence each.
        scope: the scan's range (no number depends on it), where lesions may lie, dimensions.
    """

    scores: tuple[LesionScore, ...]
    conventions: tuple[str, ...]
    scope: Scope

    @property
    def units(self) -> str:
        """Of the contrasts, ``""`` if unknown."""
        return self.scope.units

    def as_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON."""
        return {
            "lesions": [score.as_dict() for score in self.scores],
            "conventions": list(self.conventions),
            **self.scope.as_dict(),
        }


def _plain(mean: Mean | None) -> dict[str, float | None] | None:
    return None if mean is None else {"value": mean.value, "low": mean.low, "high": mean.high}
