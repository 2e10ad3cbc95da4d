from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meddenoise.errors import ParameterError
from meddenoise.inference.restore import restore


def error(image: np.ndarray, clean: np.ndarray) -> float:
    return float(np.sqrt(np.mean((image.astype(np.float64) - clean) ** 2)))


@pytest.fixture(params=[(64, 56, 48), (256, 224)], ids=["3-D", "2-D"])
def clean(request: pytest.FixtureRequest) -> np.ndarray:
    """Boxes of many intensities with sharp edges."""
    shape = request.param
    image = np.zeros(shape, dtype=np.float32)
    rng = np.random.default_rng(0)
    for _ in range(30):
        start = [int(rng.integers(0, n - 12)) for n in shape]
        where = tuple(slice(s, s + int(rng.integers(8, 30))) for s in start)
        image[where] = rng.uniform(0, 100)
    return image


def test_edges_that_a_blur_erased_come_back(clean: np.ndarray) -> None:
    noisy = clean + 4 * np.random.default_rng(1).standard_normal(clean.shape).astype(np.float32)
    blurred = gaussian_filter(noisy, 1.5)
    restored = restore(noisy, blurred)
    assert error(restored, clean) < 0.6 * error(blurred, clean)
    assert error(restored, clean) < 0.8 * error(noisy, clean)
    assert restored.dtype == blurred.dtype


def test_a_perfect_result_is_left_almost_alone(clean: np.ndarray) -> None:
    noisy = clean + 4 * np.random.default_rng(2).standard_normal(clean.shape).astype(np.float32)
    assert error(restore(noisy, clean), clean) < 0.15 * 4


def test_a_shift_of_intensities_is_undone(clean: np.ndarray) -> None:
    noisy = clean + 4 * np.random.default_rng(3).standard_normal(clean.shape).astype(np.float32)
    assert error(restore(noisy, clean + 3), clean) < 0.2 * 4


def test_noise_that_depends_on_intensity_is_told_from_structure() -> None:
    clean = np.zeros((64, 64, 32), dtype=np.float32)
    clean[32:] = 1000
    sigma = np.where(clean > 0, 50, 5)
    noisy = clean + sigma * np.random.default_rng(4).standard_normal(clean.shape)
    restored = restore(noisy.astype(np.float32), clean)
    assert error(restored[:28], clean[:28]) < 0.15 * 5
    assert error(restored[36:], clean[36:]) < 0.15 * 50


def test_voxels_that_were_not_measured_say_nothing(clean: np.ndarray) -> None:
    noisy = clean + 4 * np.random.default_rng(5).standard_normal(clean.shape).astype(np.float32)
    valid = np.ones(clean.shape, dtype=bool)
    valid[:20] = False
    filled = np.where(valid, noisy, -1e6)
    assert error(restore(filled, clean, valid)[20:], clean[20:]) < 0.2 * 4


def test_a_shift_is_undone_beside_what_was_not_measured(clean: np.ndarray) -> None:
    noisy = clean + 4 * np.random.default_rng(7).standard_normal(clean.shape).astype(np.float32)
    valid = np.ones(clean.shape, dtype=bool)
    valid[:20] = False
    beside = slice(20, 24)
    # Where nothing was measured there is no residual, so that none is put back beside it.
    found = restore(np.where(valid, noisy, 0), clean + 30, valid)[beside]
    assert error(found, clean[beside]) < 1.3


def test_no_residual_gives_the_same_image(clean: np.ndarray) -> None:
    noisy = clean + np.random.default_rng(6).standard_normal(clean.shape).astype(np.float32)
    assert np.array_equal(restore(noisy, noisy), noisy)


def test_an_image_without_room_to_see_noise() -> None:
    with pytest.raises(ParameterError, match="too small"):
        restore(np.zeros((3, 3), np.float32), np.zeros((3, 3), np.float32))


@pytest.mark.parametrize(("kind", "power"), [("f4", 105), ("f4", -110), ("f8", 300)])
def test_whatever_the_unit_the_result_is_the_same(kind: str, power: int) -> None:
    rng = np.random.default_rng(4)
    clean = np.zeros((40, 32, 24), kind)
    clean[12:28, 8:24, 6:18] = 100
    noisy = clean + 4 * rng.standard_normal(clean.shape).astype(kind)
    blurred = gaussian_filter(noisy, 1.5)
    unit = clean.dtype.type(2.0**power)  # exact: squares of the voxels are no float32
    restored = restore(noisy * unit, blurred * unit)
    np.testing.assert_array_equal(restored / unit, restore(noisy, blurred))
    assert error(restored / unit, clean) < 0.7 * error(blurred, clean)
