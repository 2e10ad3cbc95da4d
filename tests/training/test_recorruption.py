from __future__ import annotations

import numpy as np
import pytest

from meddenoise.noise.residual_noise import ResidualNoise
from meddenoise.training.recorruption import Recorruption, place

SIGMA = 0.5


def test_the_two_recorruptions_have_independent_noise() -> None:
    noise = np.random.default_rng(3).normal(0, SIGMA, (64, 64, 48)).astype(np.float32)
    white = ResidualNoise(np.full((1, 1, 1), SIGMA**2))
    copy = Recorruption(lambda a, s: a, lambda *_: (), white, SIGMA, 0).of(noise, 0)
    both = np.cov(copy.noisier.ravel(), copy.target.ravel())
    alpha = 0.15
    assert both[0, 0] == pytest.approx(SIGMA**2 / (1 - alpha), rel=0.02)
    assert both[1, 1] == pytest.approx(SIGMA**2 / alpha, rel=0.02)
    assert both[0, 1] == pytest.approx(0, abs=0.02 * SIGMA**2)


def test_an_odd_one_is_the_negative_of_the_one_before() -> None:
    noisy = np.random.default_rng(0).standard_normal((12, 10, 8)).astype(np.float32)
    white = ResidualNoise(np.full((1, 1, 1), SIGMA**2))

    def others(noisy: np.ndarray, filtered: np.ndarray, sigma: float) -> list[np.ndarray]:
        return [noisy + filtered]

    made = Recorruption(lambda a, s: a / 2, others, white, SIGMA, 0)
    one, two, other = (made.of(noisy, number) for number in (0, 1, 2))
    np.testing.assert_allclose((one.noisier + two.noisier) / 2, noisy, atol=1e-6)
    np.testing.assert_allclose((one.target + two.target) / 2, noisy, atol=1e-6)
    assert np.abs(one.noisier - other.noisier).mean() > SIGMA / 4
    np.testing.assert_allclose(one.filtered, one.noisier / 2)
    np.testing.assert_allclose(one.others[0], 1.5 * one.noisier, rtol=1e-6)


def test_parts_lie_inside_and_in_different_places() -> None:
    cuts = [place((90, 80, 70), (32, 40, 70), 0, k) for k in range(5)]
    for cut_out in cuts:
        for cut, n, size in zip(cut_out, (32, 40, 70), (90, 80, 70), strict=True):
            assert cut.start >= 0
            assert cut.stop - cut.start == n
            assert cut.stop <= size
    assert len({cut_out[0].start for cut_out in cuts}) > 1
