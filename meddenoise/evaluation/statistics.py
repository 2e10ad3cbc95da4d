"""What can be said of a mean over a few volumes, and of the difference between two methods."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError

__all__ = ["Comparison", "Mean", "mean_with_interval", "paired_comparison"]

_LEVEL = 0.95
_RESAMPLES = 4999
# With fewer pairs Wilcoxon's test cannot come below 0.05, whatever they are.
_FEWEST_PAIRS = 6


@dataclass(frozen=True)
class Mean:
    """A mean over volumes.

    Attributes:
        value: the mean.
        low, high: its 95 % bootstrap interval; ``None`` for fewer than two volumes.
        count: how many values: one a volume, or several where a volume has several.
    """

    value: float
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class Comparison:
    """One method beside another on the same volumes.

    Attributes:
        difference: mean of (this - baseline), with its interval.
        p_value: of Wilcoxon's signed-rank test, two-sided; ``None`` where it cannot be told.
        reason: why there is no ``p_value``, else ``""``.
    """

    difference: Mean
    p_value: float | None
    reason: str


def mean_with_interval(
    values: Sequence[float], *, groups: Sequence[Hashable] | None = None, seed: int = 0
) -> Mean:
    """The mean and its percentile bootstrap interval (Efron, Ann Stat 7:1, 1979).

    Args:
        values: one a volume, finite.
        groups: of each value its volume, where one has several (with several noises, say): volumes
            are resampled with all that they have, for what one volume has is not independent.
        seed: of the resampling.

    Raises:
        ParameterError: no value, one that is not finite, or another number of groups.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ParameterError("A mean needs at least one value, and finite ones only.")
    value = float(array.mean())
    totals, counts = _by_group(array, groups)
    if totals.size < 2:
        return Mean(value, None, None, int(array.size))
    picks = np.random.default_rng(seed).integers(totals.size, size=(_RESAMPLES, totals.size))
    tails = [50 * (1 - _LEVEL), 50 * (1 + _LEVEL)]
    low, high = np.percentile(totals[picks].sum(axis=1) / counts[picks].sum(axis=1), tails)
    return Mean(value, float(low), float(high), int(array.size))


def paired_comparison(
    values: Sequence[float],
    baseline: Sequence[float],
    *,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> Comparison:
    """Two methods on the same volumes: the mean difference and Wilcoxon's signed-rank test.

    Args:
        values: one a volume.
        baseline: of the other method, the same volumes in the same order.
        groups: as for :func:`mean_with_interval`; the test is of the volumes' mean differences.
        seed: of the interval's resampling.

    Raises:
        ParameterError: another number of values or groups, none, or one that is not finite.
    """
    if len(values) != len(baseline):
        raise ParameterError(
            f"A paired comparison needs the same volumes: {len(values)} and {len(baseline)} values."
        )
    apart = np.subtract(values, baseline).astype(np.float64)
    difference = mean_with_interval(apart.tolist(), groups=groups, seed=seed)
    totals, counts = _by_group(apart, groups)
    means = totals / counts
    if not means.any():
        return Comparison(difference, None, "all values are the same")
    if means.size < _FEWEST_PAIRS:
        return Comparison(difference, None, f"a test needs at least {_FEWEST_PAIRS} volumes")
    from scipy.stats import wilcoxon

    p_value = float(wilcoxon(means).pvalue)
    return Comparison(difference, None if math.isnan(p_value) else p_value, "")


def _by_group(
    values: NDArray[np.float64], groups: Sequence[Hashable] | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of each group the sum of its values, and how many they are."""
    if groups is None:
        return values, np.ones(values.size, dtype=np.int64)
    if len(groups) != values.size:
        raise ParameterError(f"There are {values.size} values and {len(groups)} groups of them.")
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    which = np.array([numbers[group] for group in groups])
    totals = np.bincount(which, weights=values).astype(np.float64)
    return totals, np.bincount(which).astype(np.int64)
