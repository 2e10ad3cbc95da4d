from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meddenoise.errors import ParameterError
from meddenoise.noise.curve import NoiseCurve, estimate_curve
from meddenoise.noise.finest_band import HIGH_PASS, SPLINE


def steps(shape: tuple[int, ...]) -> np.ndarray:
    """Broad flat stripes of five intensities."""
    level = np.arange(shape[0]) * 5 // shape[0] * 100.0
    return np.broadcast_to(level.reshape(-1, *[1] * (len(shape) - 1)), shape).copy()


@pytest.mark.parametrize("shape", [(80, 64, 48), (320, 256), (160, 128, 3)])
def test_noise_that_grows_with_intensity_is_found(shape: tuple[int, ...]) -> None:
    clean = steps(shape)
    sigma = 4 + clean / 20
    noisy = clean + sigma * np.random.default_rng(0).standard_normal(shape)
    curve = estimate_curve(noisy, clean)
    assert curve(np.array([0.0, 100, 200, 300, 400])) == pytest.approx([4, 9, 14, 19, 24], rel=0.1)


def test_edges_are_not_taken_for_noise() -> None:
    clean = steps((80, 64, 48))
    clean[:, ::8] += 300  # an eighth of the picture, and edges on both sides of it
    noisy = clean + 5 * np.random.default_rng(1).standard_normal(clean.shape)
    assert estimate_curve(noisy, clean)(clean) == pytest.approx(5, rel=0.1)


def test_only_the_mask_counts() -> None:
    noisy = np.random.default_rng(2).standard_normal((40, 64, 48))
    noisy[20:] *= 9
    mask = np.zeros(noisy.shape, dtype=bool)
    mask[:20] = True
    flat = np.zeros_like(noisy)
    assert estimate_curve(noisy, flat, mask=mask)(flat[:1]) == pytest.approx(1, rel=0.1)
    assert estimate_curve(noisy, flat, mask=~mask)(flat[:1]) == pytest.approx(9, rel=0.1)


@pytest.mark.parametrize("high_pass", [HIGH_PASS, SPLINE])
def test_the_error_by_chance_is_known(high_pass: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    noisy = 5 * rng.standard_normal((100, 100, 60))
    guide = rng.uniform(0, 100, noisy.shape)  # what it says does not matter, but it has bins
    curve = estimate_curve(noisy, gaussian_filter(guide, 2), high_pass=high_pass)
    off = np.array(curve.sigmas) / 5 - 1
    assert len(off) >= 20
    assert off.mean() == pytest.approx(0, abs=0.01)
    assert 0.5 < off.std() / curve.chance < 1.5


def test_between_the_bins_it_is_linear_and_beyond_them_constant() -> None:
    curve = NoiseCurve((0.0, 10.0), (1.0, 3.0))
    assert curve(np.array([-5.0, 0, 5, 10, 99])).tolist() == [1, 1, 2, 3, 3]


def test_what_cannot_be_estimated() -> None:
    with pytest.raises(ParameterError, match="one shape"):
        estimate_curve(np.zeros((8, 8)), np.zeros((8, 9)))
    with pytest.raises(ParameterError, match="too small"):
        estimate_curve(np.zeros((3, 8)), np.zeros((3, 8)))
    with pytest.raises(ParameterError, match="too little image"):
        estimate_curve(np.zeros((16, 16)), np.zeros((16, 16)))
