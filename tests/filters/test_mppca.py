from __future__ import annotations

import warnings

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.filters import apply_filter, mppca
from meddenoise.volume import Volume

pytest.importorskip("dipy")

pytestmark = pytest.mark.filterwarnings("ignore:.* volumes are blank")


def scan(sigma: float = 1.0, shape: tuple[int, ...] = (11, 10, 9)) -> tuple[np.ndarray, np.ndarray]:
    """30 volumes that mix two patterns, and the same with noise."""
    draws = np.random.default_rng(0)
    patterns = 10 * draws.standard_normal((2, *shape))
    clean = np.tensordot(draws.standard_normal((30, 2)), patterns, axes=1).astype(np.float32)
    return clean, clean + sigma * draws.standard_normal(clean.shape).astype(np.float32)


def test_what_few_components_explain_is_kept() -> None:
    clean, noisy = scan()
    filtered = mppca(noisy, spacing=(2, 2, 2))
    # Two of 30 components hold about (2 (30 + 125)) / (30 * 125) of the noise's variance; patches
    # that overlap are averaged on top.
    left = np.mean((filtered - clean) ** 2)
    assert left < 1.1 * 2 * (30 + 125) / (30 * 125)
    assert filtered.dtype == np.float32
    told = mppca(noisy, spacing=(2, 2, 2), sigma_noise=1.0)
    assert np.mean((told - clean) ** 2) == pytest.approx(left, rel=0.2)


def test_where_zero_is_does_not_matter() -> None:
    _, noisy = scan()
    shifted = mppca(noisy - 1000, spacing=(2, 2, 2))
    np.testing.assert_allclose(shifted + 1000, mppca(noisy, spacing=(2, 2, 2)), atol=0.01)
    assert shifted.max() < 0  # DIPY alone makes everything 0


@pytest.mark.parametrize("unit", [2.0**-83, 2.0**56])
@pytest.mark.parametrize("sigma", [None, 1.0])
def test_the_unit_of_intensities_does_not_matter(unit: float, sigma: float | None) -> None:
    noisy = scan()[1][:12] + 0
    expected = mppca(noisy, spacing=(2, 2, 2), sigma_noise=sigma)
    told = None if sigma is None else sigma * unit
    filtered = mppca(noisy * np.float32(unit), spacing=(2, 2, 2), sigma_noise=told)
    np.testing.assert_allclose(filtered / np.float32(unit), expected, atol=0.001)


@pytest.mark.parametrize("sigma", [None, 1.0])
def test_blank_and_repeated_volumes_do_not_change_the_others(sigma: float | None) -> None:
    _, noisy = scan()
    expected = mppca(noisy[:26], spacing=(2, 2, 2), sigma_noise=sigma)
    noisy[26], noisy[27], noisy[28:] = 0, 7, noisy[3]
    filtered = mppca(noisy, spacing=(2, 2, 2), sigma_noise=sigma)
    # DIPY's sums are shifted by the lowest value, which is the same.
    np.testing.assert_array_equal(filtered[:26], expected)
    np.testing.assert_array_equal(filtered[26:28], noisy[26:28])
    np.testing.assert_array_equal(filtered[28:], expected[[3, 3]])


def test_nothing_to_compare() -> None:
    _, noisy = scan()
    blank = np.zeros_like(noisy)
    np.testing.assert_array_equal(mppca(blank, spacing=(2, 2, 2)), blank)
    blank[[2, 5]] = noisy[0]
    with pytest.raises(ParameterError, match="of 30 here only one is neither"):
        mppca(blank, spacing=(2, 2, 2))


def test_a_lost_volume_comes_out_as_it_was() -> None:
    _, noisy = scan()
    whole = apply_filter(Volume(noisy, np.eye(4)), "mppca").array
    noisy[4] = np.nan
    found = apply_filter(Volume(noisy, np.eye(4)), "mppca").array
    assert np.isnan(found[4]).all()
    others = np.arange(30) != 4
    assert np.sqrt(np.mean((found - whole)[others] ** 2)) < 0.1


def test_thin_scans_and_padding() -> None:
    _, noisy = scan()
    array = noisy[:, :, :, :2].copy()
    array[:, 0] = np.nan
    result = apply_filter(Volume(array, np.eye(4)), "mppca").array
    assert np.isnan(result[:, 0]).all()
    assert np.isfinite(result[:, 1:]).all()
    assert np.abs(result[:, 1:] - array[:, 1:]).mean() > 0.1


def test_impossible_radius() -> None:
    with pytest.raises(ParameterError, match="patch_radius is 0"):
        mppca(scan()[1], spacing=(2, 2, 2), patch_radius=0)


@pytest.mark.parametrize("sigma", [None, 1.0])
def test_a_background_that_is_alike_in_all_volumes_stays(sigma: float | None) -> None:
    clean, noisy = scan()
    outside = np.zeros(noisy.shape[1:], dtype=bool)
    outside[:, :5] = outside[0, 6:] = True
    noisy[:, outside] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filtered = mppca(noisy, spacing=(2, 2, 2), sigma_noise=sigma)
    assert not filtered[:, outside].any()
    assert np.isfinite(filtered).all()
    assert np.std((filtered - clean)[:, ~outside]) < 0.5


def test_a_strip_at_a_border_is_denoised_too() -> None:
    """No patch has its middle there: the nearest one is in the background."""
    clean, noisy = scan()
    noisy[:, 2:] = 0
    filtered = mppca(noisy, spacing=(2, 2, 2), sigma_noise=1.0)
    assert not filtered[:, 2:].any()
    assert np.std((filtered - clean)[:, :2]) < 0.5


def test_blank_volumes_are_told() -> None:
    _, noisy = scan()
    noisy[4], noisy[7] = 0, 3
    with pytest.warns(UserWarning, match=r"2 of 30 volumes are blank \(5, 8\): kept"):
        mppca(noisy, spacing=(2, 2, 2))
    noisy[10:25] = 0
    with pytest.warns(UserWarning, match=r"17 of 30 .* \(5, 8, 11, 12, 13, 14, 15, 16 and 9 more"):
        mppca(noisy, spacing=(2, 2, 2))


def test_an_image_too_small_for_a_patch() -> None:
    with pytest.raises(ParameterError, match=r"at least 3 voxels along an axis.* 2 x 2 x 1"):
        mppca(scan()[1][:, :2, :2, :1], spacing=(2, 2, 2))


def test_where_a_volume_is_blank_the_others_are_denoised_all_the_same() -> None:
    clean, noisy = scan(shape=(20, 15, 10))
    lost = np.zeros(noisy.shape[1:], dtype=bool)
    lost[:8] = True
    expected = mppca(noisy, spacing=(2, 2, 2))
    noisy[4, lost] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filtered = mppca(noisy, spacing=(2, 2, 2))
    others = np.arange(30) != 4
    left = [np.mean((image - clean)[others][:, lost] ** 2) for image in (filtered, expected)]
    assert left[0] < 1.5 * left[1]
    np.testing.assert_allclose(filtered[4, :5], 0, atol=1e-3)


def test_where_a_volume_is_blank_a_few_volumes_stay() -> None:
    _, noisy = scan()
    few = noisy[:5].copy()
    few[4, :7] = 0
    filtered = mppca(few, spacing=(2, 2, 2))
    np.testing.assert_array_equal(filtered[:, :4], few[:, :4])
    assert np.abs(filtered - few)[:, 8:].mean() > 0.1
