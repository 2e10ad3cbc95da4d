"""HFEN, GMSD, MS-SSIM and VIF against other implementations and against what they must be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import convolve

from meddenoise.errors import ParameterError
from meddenoise.evaluation import noise_power_spectrum, ssim
from meddenoise.evaluation.flatness import flat_noise
from meddenoise.evaluation.gmsd import gmsd
from meddenoise.evaluation.hfen import hfen
from meddenoise.evaluation.ms_ssim import ms_ssim
from meddenoise.evaluation.structure import gradient_correlation
from meddenoise.evaluation.vif import vif
from meddenoise.evaluation.whiteness import residual_whiteness

RANGED: list[Callable[..., Any]] = [
    gmsd,
    vif,
    lambda *images, **options: ms_ssim(*images, **options).value,
]


def test_vif_is_sewar_s_with_the_reference_first(scene: Any) -> None:
    clean, noisy = scene((192, 176))
    # sewar 0.4.10, vifp(GT=clean, P=noisy), and the other way round.
    assert vif(clean, noisy, data_range=255) == pytest.approx(0.3506518720, abs=1e-8)
    assert vif(noisy, clean, data_range=255) == pytest.approx(0.3209595399, abs=1e-8)
    # It is information kept: more contrast tells more, less contrast less.
    assert vif(clean, 1.5 * clean, data_range=255) > 1.01
    assert vif(clean, 0.5 * clean, data_range=255) < 0.99


def test_gmsd_is_piq_s(scene: Any) -> None:
    inside = np.zeros((192, 176))
    inside[8:-8, 8:-8] = 1  # piq's border is of zeros, ours is repeated
    clean, noisy = (np.clip(image, 0, 255) * inside for image in scene((192, 176)))
    assert gmsd(clean, noisy, data_range=255) == pytest.approx(0.0438575374359363, abs=1e-9)


def test_ms_ssim_is_piq_s_and_torchmetrics(scene: Any) -> None:
    clean, noisy = (np.clip(image, 0, 255) for image in scene((192, 176)))
    found = ms_ssim(clean, noisy, data_range=255)
    # piq 0.8.0; torchmetrics 1.9.0 has 0.948101 (its borders differ).
    assert found.value == pytest.approx(0.9481217, abs=1e-5)
    assert (found.scales, found.convention.startswith("2-D, 5 scales")) == (5, True)


def test_hfen_is_that_of_fspecial_log(scene: Any) -> None:
    # MATLAB's fspecial("log", 15, 1.5), written out.
    x, y = np.meshgrid(np.arange(-7, 8), np.arange(-7, 8))
    bell = np.exp(-(x**2 + y**2) / (2 * 1.5**2))
    kernel = bell / bell.sum() * (x**2 + y**2 - 2 * 1.5**2) / 1.5**4
    kernel -= kernel.mean()
    clean, noisy = scene((60, 50))
    one, other = (convolve(image, kernel, mode="nearest") for image in (clean, noisy))
    expected = np.linalg.norm(other - one) / np.linalg.norm(one)
    assert hfen(clean, noisy) == pytest.approx(expected, rel=1e-9)


def test_hfen_of_a_few_thick_slices_is_that_of_slices(scene: Any) -> None:
    clean, noisy = scene((40, 36))
    many = [np.stack([image, 2 * image + 5], axis=2) for image in (clean, noisy)]
    assert hfen(*many) == pytest.approx(hfen(clean, noisy), rel=1e-9)


def test_hfen_of_what_is_known(scene: Any) -> None:
    clean, noisy = scene((40, 36, 20))
    assert hfen(clean, clean) == 0
    assert hfen(clean, 1.1 * clean) == pytest.approx(0.1)
    assert hfen(clean, clean + 50) == pytest.approx(0, abs=1e-9)  # edges only
    assert hfen(clean, noisy) > hfen(clean, clean + (noisy - clean) / 2) > 0
    with pytest.raises(ParameterError, match="constant"):
        hfen(np.full((20, 20), 7.0), np.zeros((20, 20)))


@pytest.mark.parametrize("metric", RANGED)
def test_a_scale_of_values_changes_nothing_and_the_range_counts(metric: Any, scene: Any) -> None:
    clean, noisy = scene((64, 60))
    found = metric(clean, noisy, data_range=255)
    assert metric(4 * clean, 4 * noisy, data_range=4 * 255) == pytest.approx(found, rel=1e-6)
    assert metric(clean, noisy, data_range=100) != pytest.approx(found, rel=1e-3)
    for wrong in (0, -1, np.inf, np.nan):
        with pytest.raises(ParameterError, match="data_range"):
            metric(clean, noisy, data_range=wrong)
    with pytest.raises(ParameterError, match="shape"):
        metric(clean, noisy[1:], data_range=255)
    with pytest.raises(ParameterError, match="2 or 3 axes"):
        metric(clean[0], noisy[0], data_range=255)
    with pytest.raises(ParameterError, match="mask is empty"):
        metric(clean, noisy, data_range=255, mask=np.zeros(clean.shape, bool))


@pytest.mark.parametrize("metric", RANGED)
def test_slices_that_are_alike_give_the_value_of_one(metric: Any, scene: Any) -> None:
    clean, noisy = scene((64, 60))
    one = metric(clean, noisy, data_range=255)
    many = [np.repeat(image[..., None], 5, axis=2) for image in (clean, noisy)]
    # Five slices are too few for a third axis: taken one by one.
    assert metric(*many, data_range=255) == pytest.approx(one, rel=1e-9)
    holed = noisy.copy()
    holed[3, 4] = np.nan
    assert np.isfinite(metric(clean, holed, data_range=255))


@pytest.mark.parametrize("metric", RANGED)
def test_more_noise_is_worse_in_3d_too(metric: Any, scene: Any) -> None:
    best = 0.0 if metric is gmsd else 1.0
    clean, noisy = scene((48, 46, 44))
    some = metric(clean, noisy, data_range=255)
    more = metric(clean, 2 * noisy - clean, data_range=255)
    assert abs(more - best) > abs(some - best) > 0
    assert metric(clean, clean, data_range=255) == pytest.approx(best, abs=1e-6)
    if metric is gmsd:
        # A mask keeps to where the image is as it was.
        spoilt = clean.copy()
        spoilt[30:] = noisy[30:]
        kept = np.zeros(clean.shape, dtype=bool)
        kept[:26] = True
        assert gmsd(clean, spoilt, data_range=255, mask=kept) == pytest.approx(0, abs=1e-12)


def test_small_images() -> None:
    small = np.random.default_rng(0).uniform(0, 1, (12, 30))
    with pytest.raises(ParameterError, match="22 voxels"):
        ms_ssim(small, small, data_range=1)
    with pytest.raises(ParameterError, match="41 x 41"):
        vif(small, small, data_range=1)
    with pytest.raises(ParameterError, match="8 voxels"):
        gmsd(small[:5], small[:5], data_range=1)
    fewer = ms_ssim(np.tile(small, (4, 1)), np.tile(small, (4, 1)), data_range=1)
    assert (fewer.scales, fewer.convention.split(", ")[1]) == (2, "2 scales")


def test_slices_are_across_the_coarsest_axis(scene: Any) -> None:
    clean, noisy = scene((44, 42, 60))
    thick = [np.moveaxis(image, 2, 0) for image in (clean, noisy)]
    across = vif(*thick, data_range=255, spacing=(5, 1, 1))
    assert across == pytest.approx(vif(clean, noisy, data_range=255), rel=1e-9)
    with pytest.raises(ParameterError, match="spacing"):
        vif(clean, noisy, data_range=255, spacing=(1, 1))


@pytest.mark.parametrize(
    "find",
    [
        partial(gmsd, data_range=255),
        partial(vif, data_range=255),
        partial(ms_ssim, data_range=255),
        partial(ssim, data_range=255),
        hfen,
        flat_noise,
        gradient_correlation,
        lambda one, other: noise_power_spectrum(other - one),
        lambda one, other: residual_whiteness(other - one),
    ],
)
def test_what_a_masked_array_masks_is_as_if_it_were_not_finite(
    scene: Any, find: Callable[..., Any]
) -> None:
    clean, noisy = scene((96, 88))
    hidden = np.zeros(clean.shape, dtype=bool)
    hidden[:20, :20] = True
    masked = np.ma.masked_array(np.where(hidden, 1e6, noisy), hidden)
    assert find(clean, masked) == find(clean, np.where(hidden, np.nan, noisy))
