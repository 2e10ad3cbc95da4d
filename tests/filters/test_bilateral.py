from __future__ import annotations

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.filters import bilateral


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 0.5, 1.0)])
def test_by_hand(spacing: tuple[float, ...]) -> None:
    noisy = np.random.default_rng(0).normal(100, 5, (13, 13, 13)).astype(np.float32)
    filtered = bilateral(noisy, spacing=spacing, sigma_noise=5, width=1.0, strength=2.0)
    reach = [int(np.ceil(2.5 * min(spacing) / step)) for step in spacing]
    near = noisy[tuple(slice(6 - r, 7 + r) for r in reach)].astype(np.float64)
    place = np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij")
    distance = sum((p * s / min(spacing)) ** 2 for p, s in zip(place, spacing, strict=True))
    weights = np.exp(-distance / 2 - (near - noisy[6, 6, 6]) ** 2 / (2 * 10**2))
    expected = (weights * near).sum() / weights.sum()
    assert filtered[6, 6, 6] == pytest.approx(expected, abs=0.05)
    assert abs(expected - noisy[6, 6, 6]) > 0.5  # or it tells nothing
    assert filtered.dtype == np.float32


def test_a_high_step_stays_and_noise_goes() -> None:
    step = np.zeros((24, 24), np.float32)
    step[12:] = 100
    noisy = step + np.random.default_rng(0).standard_normal(step.shape).astype(np.float32)
    filtered = bilateral(noisy, spacing=(1, 1), sigma_noise=1)
    assert filtered[12].mean() - filtered[11].mean() == pytest.approx(100, abs=0.5)
    assert (filtered - step).std() < 0.5


def test_without_noise_nothing_changes() -> None:
    flat = np.full((8, 8, 8), 7.0)
    np.testing.assert_array_equal(bilateral(flat, spacing=(1, 1, 1), sigma_noise=0), flat)


@pytest.mark.parametrize("option", [{"width": 0.0}, {"strength": -1.0}])
def test_impossible_options(option: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(option))):
        bilateral(np.zeros((4, 4), np.float32), spacing=(1, 1), sigma_noise=1, **option)
