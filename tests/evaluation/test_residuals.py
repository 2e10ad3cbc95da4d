"""Whiteness, structure, noise in flat places and edge widths where the answer is known."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.special import erfc

from meddenoise.errors import ParameterError
from meddenoise.evaluation.flatness import flat_noise
from meddenoise.evaluation.resolution import edge_width, find_edges
from meddenoise.evaluation.structure import gradient_correlation
from meddenoise.evaluation.whiteness import residual_whiteness


def cylinder(sigma: float) -> np.ndarray:
    x, y = np.meshgrid(np.arange(72) - 35.3, np.arange(72) - 36.1, indexing="ij")
    plane = 50 * erfc((np.hypot(x, y) - 22) / (math.sqrt(2) * sigma))
    return np.repeat(plane[..., None], 12, axis=2)


def test_white_and_coloured_residuals() -> None:
    white = np.random.default_rng(0).normal(3, 10, (32, 30, 28))
    found = residual_whiteness(white)
    assert found.white
    assert np.abs(np.array(found.coefficients)).max() < found.chance + 0.01
    # A Gaussian filter's noise has the autocorrelation exp(-k^2 / (4 s^2)).
    along = residual_whiteness(gaussian_filter1d(white, 1.0, axis=1))
    assert not along.white
    expected = [math.exp(-(k**2) / 4) for k in (1, 2, 3)]
    assert along.coefficients[1] == pytest.approx(expected, abs=0.04)
    assert max(map(abs, along.coefficients[0])) < 0.06
    assert along.largest == along.coefficients[1][0]


def test_whiteness_within_a_mask_and_without_room() -> None:
    values = np.random.default_rng(0).normal(0, 1, (40, 40, 4))
    values[:20] *= 0
    inside = np.zeros(values.shape, dtype=bool)
    inside[20:] = True
    assert residual_whiteness(values, mask=inside).white
    assert residual_whiteness(values[20:], lags=4).coefficients[2][3] is None
    with pytest.raises(ParameterError, match="nothing was taken away"):
        residual_whiteness(np.full((40, 40), 1.0))
    with pytest.raises(ParameterError, match="fewer than 1000"):
        residual_whiteness(np.ones((5, 5)))


def test_structure_is_seen_and_noise_is_none() -> None:
    clean = cylinder(0.8)
    noise = np.random.default_rng(0).normal(0, 6, clean.shape)
    assert abs(gradient_correlation(noise, clean)) < 0.05
    blurred = gaussian_filter(clean, 1.5)
    assert gradient_correlation(clean - blurred, clean) > 0.6
    assert gradient_correlation(noise + clean - blurred, blurred) > 0.4
    with pytest.raises(ParameterError, match="constant"):
        gradient_correlation(noise, np.ones(noise.shape))
    with pytest.raises(ParameterError, match="shape"):
        gradient_correlation(noise[1:], clean)
    holed = noise.copy()
    holed[0, 0, 0] = np.nan
    assert abs(gradient_correlation(holed, clean)) < 0.05


def test_noise_in_flat_places() -> None:
    clean = cylinder(0.8)
    noise = np.random.default_rng(0).normal(0, 8, clean.shape)
    found = flat_noise(clean + noise, clean + noise / 4)
    assert found.before == pytest.approx(8, rel=0.06)
    assert found.factor == pytest.approx(4, rel=0.06)
    assert flat_noise(clean + noise, clean, guide=clean).factor is None
    # Air that a display window clipped holds no noise, and says nothing of the rest.
    clipped = clean + noise
    clipped[:42] = -150
    assert flat_noise(clipped, clipped, guide=clean).after == pytest.approx(8, rel=0.06)
    with pytest.raises(ParameterError, match="0 windows"):
        flat_noise(clean * 0, clean, guide=clean)
    with pytest.raises(ParameterError, match="windows"):
        flat_noise(clean[:8, :40], clean[:8, :40])
    with pytest.raises(ParameterError, match="one shape"):
        flat_noise(clean, clean[1:])


def test_edges_before_and_after() -> None:
    clean = cylinder(0.6)
    noisy = clean + np.random.default_rng(0).normal(0, 8, clean.shape)
    wide = {}
    for sigma in (0.8, 1.2):
        filtered = gaussian_filter(noisy, sigma)
        edges = find_edges(filtered, spacing=(0.5, 0.5, 2))
        before = edge_width(noisy, edges, spacing=(0.5, 0.5, 2)).width
        wide[sigma] = edge_width(filtered, edges, spacing=(0.5, 0.5, 2)).width
        # A Gaussian of sigma has a full width of 2.355 sigma; what a voxel adds is still in it.
        assert before == pytest.approx(0.5 * 2.355 * 0.6, rel=0.25)
        assert wide[sigma] == pytest.approx(0.5 * 2.355 * math.hypot(0.6, sigma), rel=0.05)
        assert edge_width(clean, edges, spacing=(0.5, 0.5, 2)).width == pytest.approx(
            before, rel=0.05
        )
    assert wide[1.2] > wide[0.8]


def test_images_without_edges() -> None:
    with pytest.raises(ParameterError, match="no edges"):
        find_edges(np.ones((40, 40)))
    with pytest.raises(ParameterError, match="edges in the image"):
        find_edges(cylinder(0.6)[..., 0], mask=np.eye(72, dtype=bool))


def test_an_image_without_a_voxel() -> None:
    nothing = np.zeros((0, 8, 8), np.float32)
    for tell in (residual_whiteness, partial(gradient_correlation, nothing), find_edges):
        with pytest.raises(ParameterError):
            tell(nothing)
