from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, median_filter

from meddenoise.errors import ParameterError
from meddenoise.evaluation.residual import LIMIT, residual_structure


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Solids with sharp edges, and a noisy copy."""
    rng = np.random.default_rng(seed)
    clean = 10.0 * (gaussian_filter(rng.normal(size=(48, 48, 48)), 4) > 0)
    return clean, clean + rng.normal(size=clean.shape)


def test_noise_alone_has_a_ratio_of_1() -> None:
    for seed in range(3):
        clean, noisy = scene(seed)
        found = residual_structure(noisy, clean)
        assert found.ratio == pytest.approx(1, abs=0.12)
        assert not found.structured
        assert found.voxels > 5000


@pytest.mark.parametrize("width", [0.7, 1.5])
def test_blurred_edges_are_seen(width: float) -> None:
    _, noisy = scene()
    found = residual_structure(noisy, gaussian_filter(noisy, width))
    assert found.ratio > 2 * LIMIT
    assert found.structured


def test_noise_that_is_left_at_edges_is_no_structure() -> None:
    clean, noisy = scene()
    near = np.abs(clean - gaussian_filter(clean, 2)) > 0.5
    left = clean + 0.7 * (noisy - clean)
    assert residual_structure(noisy, np.where(near, left, clean)).ratio < 0.7


def test_correlated_noise_is_no_structure() -> None:
    clean, _ = scene()
    noise = gaussian_filter(np.random.default_rng(1).normal(size=clean.shape), 0.8)
    assert residual_structure(clean + noise / noise.std(), clean).ratio == pytest.approx(1, abs=0.2)


def test_air_that_was_smoothed_does_not_count() -> None:
    """Hardly anything was taken away there, where it is flattest."""
    ratios = []
    for seed in range(6):  # there are few edges
        clean, noisy = scene(seed)
        air = np.zeros(clean.shape, dtype=bool)
        air[:, :30] = True
        rest = np.where(air, 1e-4, 1.0)
        found = residual_structure(np.where(air, 0, clean) + rest * (noisy - clean), clean * ~air)
        ratios.append(found.ratio)
        blurred = gaussian_filter(np.where(air, 0, noisy), 0.7)
        assert residual_structure(np.where(air, 0, noisy), blurred).structured
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


def test_voxels_that_came_out_as_they_were_by_chance() -> None:
    """A median of 3 x 3 leaves one in nine as it is, and whole numbers agree now and then."""
    clean, noisy = scene()
    median = residual_structure(noisy, median_filter(noisy, (3, 3, 1)))
    assert median.structured
    assert median.voxels > 5000
    whole = residual_structure(np.rint(3 * noisy), np.rint(3 * clean))
    assert whole.ratio == pytest.approx(residual_structure(noisy, clean).ratio, abs=0.1)


def test_masks_of_any_kind() -> None:
    clean, noisy = scene()
    inside = np.ones(clean.shape, dtype=bool)
    inside[:16] = False
    expected = residual_structure(noisy, clean, mask=inside)
    assert residual_structure(noisy, clean, mask=inside.astype(np.uint8)) == expected
    with pytest.raises(ParameterError, match="mask has shape"):
        residual_structure(noisy, clean, mask=inside[1:])


def test_a_map_levels_uneven_noise() -> None:
    """Strong noise where the edges are looks like structure, unless the map tells."""
    rng = np.random.default_rng(2)
    clean, _ = scene()
    strength = np.where(gaussian_filter(np.abs(clean - gaussian_filter(clean, 2)), 1) > 0.5, 2, 1)
    noisy = clean + strength * rng.normal(size=clean.shape)
    assert residual_structure(noisy, clean).ratio > LIMIT
    assert residual_structure(noisy, clean, sigma=strength).ratio < LIMIT


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_does_not_count(value: float) -> None:
    clean, noisy = scene()
    blurred = gaussian_filter(noisy, 0.7)
    for denoised in (clean, blurred):
        expected = residual_structure(noisy, denoised)
        lost = denoised.copy()
        lost[20, 20, 28] = value
        mask = np.isfinite(lost)
        for one, other in ((noisy, lost), (np.where(mask, noisy, value), lost)):
            for where in (None, mask):
                found = residual_structure(one, other, mask=where)
                assert found.ratio == pytest.approx(expected.ratio, rel=0.01)
    lost[:, :, 40:] = value  # and no hole is an edge
    assert residual_structure(noisy, lost).voxels > 3000
    assert residual_structure(noisy, np.where(mask, clean, value)).ratio < LIMIT


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_only_a_level_above_0_counts(value: float) -> None:
    clean, noisy = scene()
    sigma = np.full(clean.shape, 2.0)
    expected = residual_structure(noisy, clean, sigma=sigma).ratio
    sigma[20:22, 20, 28] = value
    found = residual_structure(noisy, clean, sigma=sigma).ratio
    assert found == pytest.approx(expected, rel=0.02)
    with pytest.raises(ParameterError, match="fewer than 500 voxels"):
        residual_structure(noisy, clean, sigma=value)


def test_in_the_plane_and_with_a_mask() -> None:
    rng = np.random.default_rng(3)
    clean = 10.0 * (gaussian_filter(rng.normal(size=(160, 160)), 5) > 0)
    noisy = clean + rng.normal(size=clean.shape)
    mask = np.zeros(clean.shape, dtype=bool)
    mask[:80] = True
    damaged = clean.copy()
    damaged[100:] = gaussian_filter(clean, 2)[100:]  # outside of the mask nothing of it is seen
    assert residual_structure(noisy, damaged, mask=mask).ratio == pytest.approx(1, abs=0.3)
    assert residual_structure(noisy, damaged, mask=~mask).structured


def test_what_cannot_be_looked_at() -> None:
    clean, noisy = scene()
    with pytest.raises(ParameterError, match="fewer than 500 voxels"):
        residual_structure(noisy[:12, :12, :12], clean[:12, :12, :12])
    with pytest.raises(ParameterError, match="give one"):
        residual_structure(noisy, clean[1:])
    with pytest.raises(ParameterError, match="fewer than 500 voxels"):
        residual_structure(noisy, noisy)  # nothing was taken away
