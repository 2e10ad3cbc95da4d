from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from meddenoise.noise.correlation import (
    LIMIT,
    WHITE,
    Correlation,
    background_correlation,
    tissue_correlation,
)
from meddenoise.noise.finest_band import finest_band


def correlated(shape: tuple[int, ...], weights: dict[int, float], seed: int = 0) -> np.ndarray:
    """White noise plus ``a`` times its neighbour along each axis: rho = a / (1 + a^2), then 0."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    for axis, a in weights.items():
        noise = (noise + a * np.roll(noise, 1, axis)) / np.sqrt(1 + a * a)
    return noise


def smooth(shape: tuple[int, ...]) -> np.ndarray:
    grid = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij")
    return 100 * np.cos(5 * grid[0]) + 80 * np.sin(4 * grid[1])


@pytest.mark.parametrize("shape", [(64, 64, 64), (256, 256)])
def test_white_noise_in_tissue_is_not_correlated(shape: tuple[int, ...]) -> None:
    noisy = smooth(shape) + correlated(shape, {})
    found = tissue_correlation(noisy, np.ones(shape, dtype=bool))
    assert np.abs(found.coefficients).max() < 0.08
    assert found.axes == ()
    assert found.reach == (0,) * len(shape)


@pytest.mark.parametrize("a", [0.3, 1.0, -0.4])
@pytest.mark.parametrize("shape", [(64, 64, 64), (256, 256)])
def test_known_correlation_in_tissue(shape: tuple[int, ...], a: float) -> None:
    noisy = smooth(shape) + 5 * correlated(shape, {1: a})
    found = tissue_correlation(noisy, np.ones(shape, dtype=bool))
    rho = a / (1 + a * a)
    assert found.coefficients[1] == pytest.approx((rho, 0, 0), abs=found.chances[1])
    assert found.nearest[0] == pytest.approx(0, abs=found.chances[0])
    assert max(found.chances) < 0.1
    assert found.axes == (1,)
    assert found.reach[1] == 1


def test_a_weak_correlation_counts_if_it_alternates() -> None:
    ringing = Correlation(((0.05, -0.05, 0.05), (0.05, 0.05, 0.05)), (0.06, 0.06))
    assert ringing.axes == ()
    assert not ringing.white
    assert ringing.along(0) == (0.05, -0.05, 0.05)
    assert ringing.along(1) == (0, 0, 0)
    # A magnitude's background tells no signs.
    assert Correlation(((0.05, 0.0, 0.075),), (0.06,)).white
    # What chance may be where few pairs tell, and what is not known, are none.
    assert Correlation(((0.05, -0.05, 0.05),), (0.2,)).white
    assert Correlation(((0.05, -0.05, float("nan")),)).white


def test_correlation_that_reaches_far() -> None:
    noise = gaussian_filter1d(correlated((64, 64, 64), {}), 1.2, axis=2)
    found = tissue_correlation(smooth((64, 64, 64)) + noise, np.ones(noise.shape, dtype=bool))
    # The autocorrelation of a Gaussian kernel is a Gaussian sqrt(2) times as wide.
    lags = np.arange(1, 4)
    assert found.coefficients[2] == pytest.approx(np.exp(-(lags**2) / (4 * 1.2**2)), abs=0.06)
    assert found.reach == (0, 0, 3)


def test_edges_and_holes_do_not_correlate() -> None:
    clean = smooth((64, 64, 64))
    clean[::12] += 300
    noisy = clean + 5 * correlated(clean.shape, {})
    noisy[5, ::3] = np.nan
    mask = np.ones(noisy.shape, dtype=bool)
    mask[:, :8] = False
    noisy[:, :8] = -1000
    assert tissue_correlation(noisy, mask).axes == ()


@pytest.mark.parametrize("a", [0.0, 0.25, 1.0])
def test_known_correlation_of_the_background(a: float) -> None:
    shape = (80, 80, 40)
    real, imaginary = (correlated(shape, {0: a}, seed) for seed in (1, 2))
    mask = np.zeros(shape, dtype=bool)
    mask[:60] = True
    rho = a / (1 + a * a)
    found = background_correlation(real, mask, magnitude=False)
    assert found.coefficients[0] == pytest.approx((rho, 0, 0), abs=0.02)
    assert found.nearest[1:] == pytest.approx((0, 0), abs=0.02)
    found = background_correlation(np.hypot(real, imaginary), mask, magnitude=True)
    expected = np.sqrt(0.915 * rho**2 + 0.057 * rho**4)
    assert found.nearest[0] == pytest.approx(expected, abs=0.07)
    assert found.axes == ((0,) if rho > LIMIT else ())


def test_few_voxels_say_nothing_and_some_little() -> None:
    tiny = correlated((8, 8, 8), {})
    everywhere = np.ones(tiny.shape, dtype=bool)
    for found in (
        tissue_correlation(tiny, everywhere),
        background_correlation(tiny, everywhere, magnitude=False),
    ):
        assert np.isnan(found.coefficients).all()
        assert found.axes == ()
        assert found.white
    some = tissue_correlation(correlated((18, 18, 18), {}), np.ones((18, 18, 18), dtype=bool))
    many = tissue_correlation(correlated((60, 60, 60), {}), np.ones((60, 60, 60), dtype=bool))
    assert min(some.chances) > 2 * max(many.chances)


def test_what_chance_may_bring_is_no_correlation() -> None:
    row = (0.3, 0.0, 0.0)
    assert Correlation((row, row), (0.05, 0.4)).reach == (1, 0)
    assert Correlation((row, row)).reach == (1, 1)
    assert not Correlation((row, row), (0.05, 0.4)).white
    assert Correlation(((WHITE - 0.01, 0, 0),)).white
    assert not Correlation(((0, WHITE + 0.01, 0),)).white


def test_what_is_negligible_along_an_axis_is_none() -> None:
    found = Correlation(((0.05, 0.0, 0.0), (0.3, -0.1, np.nan), (0.1, 0.2, 0.0)), (0.0, 0.0, 0.2))
    assert found.along(0) == (0, 0, 0)
    assert found.along(1) == (0.3, -0.1, 0)
    assert found.along(2) == (0, 0, 0)
    assert found.strongest(1) == "0.30 with the next voxel"
    assert found.strongest(2) == "0.20 with the voxel 2 further on"


def test_near_and_filled() -> None:
    nan = float("nan")
    one = Correlation(((0.3, 0.1, 0.0), (nan, nan, nan)), (0.05, 1.0))
    other = Correlation(((0.4, 0.2, 0.1), (0.9, 0.8, 0.7)), (0.1, 0.2))
    assert one.near(other)
    assert not one.near(Correlation(((0.0, 0, 0), (0.0, 0, 0))))
    assert one.filled(other) == Correlation(((0.3, 0.1, 0.0), (0.9, 0.8, 0.7)), (0.05, 0.2))


@pytest.mark.parametrize("a", [0.2, 0.5, 1.0])
def test_what_the_finest_band_sees_of_correlated_noise(a: float) -> None:
    noise = 3 * correlated((70, 70, 70), {0: a, 2: a})
    band, _ = finest_band(noise, np.isfinite(noise), [0, 1, 2])
    rho = a / (1 + a * a)
    told = Correlation(((rho, 0, 0), (0, 0, 0), (rho, 0, 0)))
    assert band.var() / noise.var() == pytest.approx(told.response([0, 1, 2]), rel=0.03)
    assert told.response([1]) == 1
    assert Correlation(((float("nan"),) * 3,)).response([0]) == 1
