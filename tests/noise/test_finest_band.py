from __future__ import annotations

import numpy as np
import pytest
import pywt
from scipy import stats

from meddenoise.noise.finest_band import (
    HIGH_PASS,
    NORMAL_MAD,
    SPLINE,
    WIDTH,
    finest_band,
    sampled_parts,
)


def band(array: np.ndarray, axes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return finest_band(array, np.isfinite(array), axes)


def test_the_filter_is_daubechies_with_two_vanishing_moments() -> None:
    theirs = np.array(pywt.Wavelet("db2").dec_hi)
    assert min(np.abs(HIGH_PASS - s * theirs[::d]).max() for s in (1, -1) for d in (1, -1)) < 1e-9
    assert np.square(HIGH_PASS).sum() == pytest.approx(1)
    assert HIGH_PASS.sum() == pytest.approx(0, abs=1e-12)
    assert HIGH_PASS @ np.arange(WIDTH) == pytest.approx(0, abs=1e-12)
    assert stats.norm.ppf(0.75) == pytest.approx(NORMAL_MAD, rel=1e-12)


def test_the_spline_filter_is_that_of_the_biorthogonal_wavelet_3_1() -> None:
    theirs = np.array(pywt.Wavelet("bior3.1").dec_hi)
    assert SPLINE.size == WIDTH
    assert np.square(SPLINE).sum() == pytest.approx(1)
    assert np.abs(SPLINE) == pytest.approx(np.abs(theirs) / np.linalg.norm(theirs))
    places = np.arange(WIDTH)
    assert [SPLINE @ places**k for k in range(3)] == pytest.approx([0, 0, 0], abs=1e-12)
    noise = 3 * np.random.default_rng(1).standard_normal((60, 60, 60))
    found, _ = finest_band(noise, noise < np.inf, [0, 1, 2], SPLINE)
    assert np.median(np.abs(found)) / NORMAL_MAD == pytest.approx(3, rel=0.02)


def test_every_second_coefficient_is_that_of_the_decimated_transform() -> None:
    noise = np.random.default_rng(0).standard_normal((20, 18))
    ours, counts = band(noise, [0, 1])
    assert counts.all()
    theirs = pywt.dwtn(noise, "db2", mode="zero")["dd"][1:-1, 1:-1]  # without the borders
    assert np.abs(ours[::2, ::2]) == pytest.approx(np.abs(theirs), abs=1e-12)


@pytest.mark.parametrize(("shape", "axes"), [((200, 200), [0, 1]), ((60, 60, 60), [0, 1, 2]),
                                             ((120, 120, 3), [0, 1])])  # fmt: skip
def test_white_noise_keeps_its_sigma(shape: tuple[int, ...], axes: list[int]) -> None:
    noise = 3 * np.random.default_rng(1).standard_normal(shape)
    found, counts = band(noise, axes)
    assert found.shape == tuple(n - 3 * (k in axes) for k, n in enumerate(shape))
    assert counts.all()
    assert found.std() == pytest.approx(3, rel=0.02)
    assert np.median(np.abs(found)) / NORMAL_MAD == pytest.approx(3, rel=0.02)


def test_a_ramp_along_one_axis_has_no_coefficient() -> None:
    x, y = np.meshgrid(np.arange(20.0), np.arange(20.0), indexing="ij")
    curved = 5 * x + 7 * y**3  # whatever the other axis does
    assert np.abs(band(curved, [0, 1])[0]).max() < 1e-9


def test_only_whole_supports_outside_the_flat_background_count() -> None:
    array = np.random.default_rng(2).standard_normal((40, 40)) + 100
    array[:20] = -1024
    array[30, 30] = np.nan
    _, counts = band(array, [0, 1])
    assert not counts[:20].any()
    assert counts[20:27, :26].all()
    assert not counts[27:31, 27:31].any()
    assert np.isfinite(band(array, [0, 1])[0]).all()


def test_a_large_image_is_looked_at_in_even_slabs() -> None:
    assert sampled_parts((100, 100, 100), 0) == [(slice(None),)]
    parts = sampled_parts((256, 1024, 512), 1)
    starts = [part[1].start for part in parts]
    assert all(part[0] == slice(None) and part[1].stop - part[1].start == 16 for part in parts)
    assert len(set(np.diff(starts)) - {starts[1] - starts[0], starts[1] - starts[0] + 1}) <= 1
    assert starts[0] > 0
    assert parts[-1][1].stop < 1024
    assert sum(256 * 512 * 16 for _ in parts) <= 8_000_000
