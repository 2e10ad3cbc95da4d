from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import erf, erfc

from meddenoise.errors import ParameterError
from meddenoise.evaluation.transfer import disc_ttf, edge_mtf


def gaussian_falls_to(level: float, sigma: float) -> float:
    """Where ``exp(-2 pi^2 sigma^2 f^2)`` is ``level``."""
    return math.sqrt(-math.log(level) / 2) / (math.pi * sigma)


def disc(sigma: float, shape: tuple[int, ...], spacing: tuple[float, ...]) -> np.ndarray:
    centre = [(n - 1) / 2 + 0.3 for n in shape]
    axes = [(np.arange(n) - c) * s for n, c, s in zip(shape, centre, spacing, strict=True)]
    away = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))
    return 40 + 30 * erfc((away - 20) / (math.sqrt(2) * sigma))


@pytest.mark.parametrize("sigma", [0.7, 1.0, 1.5])
def test_a_disc_blurred_by_a_gaussian(sigma: float) -> None:
    shape, spacing = (96, 100), (0.7, 0.7)
    found = disc_ttf(disc(sigma, shape, spacing), centre=[47.8, 49.8], radius=20, spacing=spacing)
    assert found.f50 == pytest.approx(gaussian_falls_to(0.5, sigma), rel=0.01)
    assert found.f10 == pytest.approx(gaussian_falls_to(0.1, sigma), rel=0.02)
    assert found.contrast == pytest.approx(-60, rel=0.01)
    assert found.transfer[0] == pytest.approx(1)


def test_a_ball_and_noise() -> None:
    ball = disc(1.0, (64, 64, 64), (0.8, 0.8, 0.8))
    noisy = ball + np.random.default_rng(0).normal(0, 10, ball.shape)
    found = disc_ttf(noisy, centre=[31.8] * 3, radius=20, spacing=(0.8, 0.8, 0.8), reach=5)
    assert found.f50 == pytest.approx(gaussian_falls_to(0.5, 1.0), rel=0.05)


@pytest.mark.parametrize("turned", [False, True])
def test_a_slanted_edge(turned: bool) -> None:
    x, y = np.meshgrid(np.arange(60) * 0.7, np.arange(50) * 0.7, indexing="ij")
    edge = 100 * erf((x - 20 - 0.12 * y) / math.hypot(1, 0.12) / (math.sqrt(2) * 1.1))
    edge += np.random.default_rng(0).normal(0, 1, edge.shape)
    found = edge_mtf(edge.T if turned else edge, spacing=(0.7, 0.7))
    assert found.f50 == pytest.approx(gaussian_falls_to(0.5, 1.1), rel=0.02)
    assert found.as_dict()["f50_per_mm"] == found.f50


@pytest.mark.parametrize("slope", [0.05, 0.1, 0.2, 0.25, 0.123])
def test_an_edge_that_crosses_pixels_at_few_phases(slope: float) -> None:
    x, y = np.meshgrid(np.arange(60.0), np.arange(60.0), indexing="ij")
    away = (x - 30 + slope * (y - 30)) / math.hypot(1, slope)
    found = edge_mtf(erf(away / math.sqrt(2)))
    assert found.f50 == pytest.approx(gaussian_falls_to(0.5, 1.0), rel=0.01)
    assert found.f10 == pytest.approx(gaussian_falls_to(0.1, 1.0), rel=0.01)
    f = np.array(found.frequencies)
    within = f < 0.5
    expected = np.exp(-2 * (math.pi * f[within]) ** 2)
    np.testing.assert_allclose(np.array(found.transfer)[within], expected, atol=0.005)


def test_an_edge_that_is_sharp_beyond_the_pixels_does_not_fall() -> None:
    x, y = np.meshgrid(np.arange(40.0), np.arange(40.0), indexing="ij")
    found = edge_mtf((x > 19.5 + 0.1 * y).astype(float))
    assert (found.f50, found.f10) == (None, None)
    within = np.array(found.frequencies) <= 0.5
    assert np.array(found.transfer)[within] == pytest.approx(1, abs=0.1)


def test_what_is_no_edge() -> None:
    with pytest.raises(ParameterError, match="constant"):
        edge_mtf(np.ones((20, 20)))
    with pytest.raises(ParameterError, match="at least 12 pixels"):
        edge_mtf(np.ones((5, 20)))
    with pytest.raises(ParameterError, match="within the image"):
        disc_ttf(np.ones((20, 20)), centre=[30, 10], radius=4)
    with pytest.raises(ParameterError, match="no contrast"):
        disc_ttf(np.ones((40, 40)), centre=[20, 20], radius=10)
    with pytest.raises(ParameterError, match=r"only .* mm on one side"):
        disc_ttf(np.ones((40, 40)), centre=[20, 20], radius=0.5)


def test_a_hole_at_the_rim_is_named() -> None:
    image = np.zeros((40, 40))
    image[10:30, 10:30] = 1
    image[12, 20] = np.nan
    with pytest.raises(ParameterError, match="not finite"):
        disc_ttf(image, centre=(20, 20), radius=9)
