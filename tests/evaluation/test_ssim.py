from __future__ import annotations

import importlib

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from meddenoise.errors import ParameterError
from meddenoise.evaluation import ssim


def pair(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    grid = np.meshgrid(*[np.linspace(0, 9, n) for n in shape], indexing="ij")
    reference = 500 + 300 * np.prod([np.sin(axis) for axis in grid], axis=0)
    return reference, reference + 60 * rng.standard_normal(shape)


def reference_value(reference: np.ndarray, image: np.ndarray) -> tuple[float, np.ndarray]:
    return structural_similarity(
        reference,
        image,
        data_range=800,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )


@pytest.mark.parametrize("shape", [(40, 50), (30, 28, 26)])
def test_against_scikit_image(shape: tuple[int, ...]) -> None:
    reference, image = pair(*shape)
    expected, _ = reference_value(reference, image)
    measured = ssim(reference, image, data_range=800)
    assert 0.1 < expected < 0.9
    assert measured.value == pytest.approx(expected, rel=1e-9)
    assert measured.convention.startswith(f"{len(shape)}-D, Gaussian sigma 1.5, 11 taps")
    everywhere = ssim(reference, image, data_range=800, mask=np.ones(shape, dtype=bool))
    assert everywhere == measured


@pytest.mark.parametrize("scale", [1e-250, 1e-30, 1e100, 1e140])
def test_the_unit_changes_nothing(scale: float) -> None:
    reference, image = pair(40, 50)
    plain = ssim(reference, image, data_range=800)
    scaled = ssim(reference * scale, image * scale, data_range=800 * scale)
    assert scaled.value == pytest.approx(plain.value, rel=1e-9)


def test_a_mask_takes_the_mean_of_the_map() -> None:
    reference, image = pair(30, 28, 26)
    mask = np.zeros(reference.shape, dtype=bool)
    mask[8:20, 9:15, 10:12] = True
    _, similarity = reference_value(reference, image)
    measured = ssim(reference, image, data_range=800, mask=mask)
    assert measured.value == pytest.approx(similarity[mask].mean(), rel=1e-9)
    assert measured.voxels == mask.sum()


def test_a_mask_in_the_border_still_counts() -> None:
    reference, image = pair(30, 28)
    mask = np.zeros(reference.shape, dtype=bool)
    mask[:3] = True
    _, similarity = reference_value(reference, image)
    assert ssim(reference, image, data_range=800, mask=mask).value == pytest.approx(
        similarity[mask].mean(), rel=1e-9
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_thin_volume_is_measured_slice_by_slice(axis: int) -> None:
    reference, image = (np.moveaxis(v, 2, axis) for v in pair(30, 28, 4))
    slices = [
        reference_value(np.take(reference, k, axis), np.take(image, k, axis))[0] for k in range(4)
    ]
    measured = ssim(reference, image, data_range=800)
    assert measured.value == pytest.approx(np.mean(slices), rel=1e-9)
    assert measured.convention.startswith(f"2-D slices along {'XYZ'[axis]} (4)")


@pytest.mark.parametrize("rows", [24, 41, 42])
def test_slabs_change_nothing(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, image = pair(rows, 14, 13)
    whole = ssim(reference, image, data_range=800)
    module = importlib.import_module("meddenoise.evaluation.ssim")
    monkeypatch.setattr(module, "_SLAB_VOXELS", 13 * 14 * 13)
    assert len(list(module._slabs(reference.shape))) > 1
    assert ssim(reference, image, data_range=800).value == pytest.approx(whole.value, rel=1e-9)


def test_voxels_that_are_not_finite_are_left_out() -> None:
    reference, image = pair(40, 50)
    expected = ssim(reference, image, data_range=800).value
    image[20, 20] = np.nan
    measured = ssim(reference, image, data_range=800)
    assert measured.voxels == 30 * 40 - 1
    assert measured.value == pytest.approx(expected, abs=0.02)


def test_identical_images() -> None:
    reference, _ = pair(20, 20)
    assert ssim(reference, reference, data_range=800).value == pytest.approx(1)


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="at least 11 voxels along two axes"):
        ssim(*pair(30, 5, 4), data_range=1)
    with pytest.raises(ParameterError, match="2 or 3 axes"):
        ssim(np.zeros((1, 12, 12, 12)), np.zeros((1, 12, 12, 12)), data_range=1)
    with pytest.raises(ParameterError, match="shape"):
        ssim(np.zeros((12, 12)), np.zeros((12, 13)), data_range=1)
    with pytest.raises(ParameterError, match="data_range"):
        ssim(*pair(12, 12), data_range=0)
