from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, wilcoxon

from meddenoise.errors import ParameterError
from meddenoise.evaluation.statistics import mean_with_interval, paired_comparison


def test_the_interval_covers_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0)
    samples = draws.normal(3.0, 2.0, (200, 40))
    found = [mean_with_interval(sample.tolist(), seed=k) for k, sample in enumerate(samples)]
    covered = sum(m.low <= 3.0 <= m.high for m in found if m.low is not None and m.high is not None)
    assert 178 <= covered <= 199  # 95 % of 200, within 3 standard errors and the bootstrap's bias
    widths = [m.high - m.low for m in found if m.low is not None and m.high is not None]
    assert np.mean(widths) == pytest.approx(2 * norm.ppf(0.975) * 2 / np.sqrt(40), rel=0.05)


def test_several_values_of_one_volume_are_no_more_volumes() -> None:
    draws = np.random.default_rng(0)
    covered, significant, trials = 0, 0, 200
    volumes = [number for number in range(10) for _ in range(5)]
    for _ in range(trials):
        # No method is better: each volume has a chance of its own, which its five noises share.
        own = draws.normal(0, 1, 10).repeat(5) + draws.normal(0, 0.1, 50)
        found = paired_comparison(own.tolist(), [0.0] * 50, groups=volumes)
        assert found.difference.low is not None
        assert found.difference.high is not None
        assert found.p_value is not None
        assert (found.difference.value, found.difference.count) == (pytest.approx(own.mean()), 50)
        covered += found.difference.low <= 0 <= found.difference.high
        significant += found.p_value < 0.05
    # By 50 values that were independent, hardly half were covered, and half significant.
    assert covered > 0.85 * trials
    assert significant < 0.1 * trials


def test_groups_of_one_value_change_nothing() -> None:
    values = np.random.default_rng(3).normal(size=9).tolist()
    assert mean_with_interval(values, groups=list("abcdefghi")) == mean_with_interval(values)
    one, other = (paired_comparison(values, [0.0] * 9, groups=g) for g in (list("abcdefghi"), None))
    assert one == other
    found = mean_with_interval(values, groups=["a"] * 9)
    assert (found.low, found.high, found.count) == (None, None, 9)
    said = paired_comparison(values, [0.0] * 9, groups=list("aaabbbccc"))
    assert (said.p_value, "at least 6" in said.reason) == (None, True)
    with pytest.raises(ParameterError, match="9 values and 2 groups"):
        mean_with_interval(values, groups=["a", "b"])


def test_one_volume_has_a_mean_and_no_interval() -> None:
    found = mean_with_interval([2.5])
    assert (found.value, found.low, found.high, found.count) == (2.5, None, None, 1)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(2).normal(size=9).tolist()
    assert mean_with_interval(values) == mean_with_interval(values)
    assert mean_with_interval(values) != mean_with_interval(values, seed=1)


def test_a_difference_that_volumes_share_is_seen_through_their_own_spread() -> None:
    draws = np.random.default_rng(1)
    baseline = draws.normal(30, 5, 12)
    better = baseline + draws.normal(0.5, 0.1, 12)
    found = paired_comparison(better.tolist(), baseline.tolist())
    assert found.difference.value == pytest.approx(0.5, abs=0.1)
    assert found.difference.low is not None
    assert found.difference.low > 0.3
    assert found.p_value == pytest.approx(float(wilcoxon(better - baseline).pvalue))
    assert found.p_value is not None
    assert found.p_value < 0.01


@pytest.mark.parametrize(
    ("values", "reason"), [([1.0, 2.0, 3.0], "at least 6"), ([0.0] * 8, "the same")]
)
def test_a_test_that_says_nothing_is_left_out(values: list[float], reason: str) -> None:
    found = paired_comparison(values, [0.0] * len(values))
    assert found.p_value is None
    assert reason in found.reason


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_what_has_no_mean(values: list[float]) -> None:
    with pytest.raises(ParameterError, match="finite"):
        mean_with_interval(values)


def test_other_volumes_are_no_pairs() -> None:
    with pytest.raises(ParameterError, match="same volumes"):
        paired_comparison([1.0], [1.0, 2.0])
