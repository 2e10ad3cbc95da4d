from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats

from meddenoise.noise.curve import NoiseCurve
from meddenoise.noise.tissue import (
    boxes,
    quietest,
    smoothed,
    thinned,
    tissue_mask,
    without_magnitude,
)


def curve(means: np.ndarray, levels: np.ndarray, chance: float = 0.0) -> NoiseCurve:
    return NoiseCurve(tuple(means), tuple(levels), chance)


def test_the_guide_is_of_the_tissue_alone() -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(100, 10, (40, 40, 40))
    mask = np.ones(array.shape, dtype=bool)
    array[::5, ::5, ::5] = -1000
    mask[::5, ::5, ::5] = False
    array[3, 3, 3] = np.nan
    array[20:], mask[20:] = 0, False
    guide = smoothed(array, mask)
    assert guide.dtype == np.float32
    assert guide[:19].mean() == pytest.approx(100, rel=0.01)
    assert guide[:19].std() < 3
    assert (guide[28:] == 0).all()


def test_the_clean_signal_s_noise_from_a_magnitude_s() -> None:
    snr = np.linspace(0.5, 20, 30)
    sigma = 12.0
    rician = curve(
        sigma * np.array([stats.rice.mean(t) for t in snr]),
        sigma * np.array([stats.rice.std(t) for t in snr]),
        chance=0.01,
    )
    found = without_magnitude(rician)
    assert found.sigmas == pytest.approx([sigma] * len(found.sigmas), rel=5e-3)
    assert found.chance == 0.01
    assert len(found.sigmas) == np.count_nonzero(snr >= 2)


def test_of_weak_signals_the_clearest_quarter_is_kept() -> None:
    snr = np.linspace(0.2, 1.5, 20)
    rician = curve(
        np.array([stats.rice.mean(t) for t in snr]), np.array([stats.rice.std(t) for t in snr])
    )
    found = without_magnitude(rician)
    assert len(found.sigmas) == 5
    assert found.intensities == rician.intensities[-5:]
    assert found.sigmas == pytest.approx([1] * 5, rel=5e-3)


@pytest.mark.parametrize("shape", [(5, 6, 7), (2, 3), (1, 4, 4)])
def test_boxes_are_scipy_s(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    assert np.array_equal(boxes(values, np.minimum), ndimage.minimum_filter(values, 3))
    assert np.array_equal(boxes(values, np.maximum), ndimage.maximum_filter(values, 3))


def test_a_curve_without_noise_stays() -> None:
    flat = curve(np.array([1.0, 2, 3]), np.array([0.0, 1, 1]))
    assert without_magnitude(flat) is flat


def test_texture_is_not_taken_for_noise_nor_what_was_processed() -> None:
    rng = np.random.default_rng(1)
    levels = 5 * (1 + 0.01 * rng.standard_normal(40))
    levels[15:] *= np.linspace(1.2, 3, 25)  # textured tissue
    levels[:3] = 0.5  # a smoothed rim
    sigma, low, high = quietest(curve(np.arange(40.0), levels, chance=0.01))
    assert sigma == pytest.approx(5, rel=0.01)
    assert 0.5 < low < 5 < high < 5.4


def test_chance_is_no_bias() -> None:
    rng = np.random.default_rng(2)
    found = [
        quietest(curve(np.arange(40.0), 1 + 0.02 * rng.standard_normal(40), chance=0.02))[0]
        for _ in range(200)
    ]
    assert np.mean(found) == pytest.approx(1, abs=0.01)


def test_tissue_of_ct_is_soft_tissue() -> None:
    image = np.full((40, 40, 20), -1000.0)
    image[8:32, 8:32] = 40
    image[16:20, 16:20] = 900
    mask = tissue_mask(image, units="HU")
    assert mask[10:14, 10:14].all()
    assert not mask[:6].any()
    assert not mask[17:19, 17:19].any()


def test_tissue_of_a_magnitude_is_above_the_air() -> None:
    rng = np.random.default_rng(3)
    clean = np.zeros((40, 40, 40))
    clean[10:30, 10:30, 10:30] = 500
    noisy = np.hypot(clean + 10 * rng.standard_normal(clean.shape),
                     10 * rng.standard_normal(clean.shape))  # fmt: skip
    mask = tissue_mask(noisy)
    assert mask[12:28, 12:28, 12:28].all()
    assert mask.mean() < 0.2


def test_what_is_not_measured_is_no_tissue() -> None:
    rng = np.random.default_rng(4)
    for background in (0.0, -1024.0):
        noisy = rng.normal(500, 10, (40, 40, 40))
        noisy[:12] = background
        noisy[20, 20, 20] = np.nan
        mask = tissue_mask(noisy)
        assert not mask[:12].any()
        assert not mask[20, 20, 20]
        assert mask[14:].sum() >= mask[14:].size - 1
    signed = rng.normal(0, 10, (20, 20, 20))
    assert tissue_mask(signed).all()


def test_of_a_large_scan_even_slabs_are_kept() -> None:
    array = np.arange(400.0)[:, None, None] * np.ones((1, 30, 20))
    mask = array >= 0
    assert thinned(array, mask)[0] is array
    few, where = thinned(array, mask, enough=24 * 30 * 20 * 4)
    assert few.shape == where.shape == (4 * 25, 30, 20)
    assert where.sum() == 4 * 24 * 600
    assert not where[24::25].any()  # so that slabs are not taken for neighbours
    starts = few[::25, 0, 0]
    assert set(np.diff(starts)) == {100}
    assert starts[0] == 38
