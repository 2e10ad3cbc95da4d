from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from meddenoise.errors import ParameterError
from meddenoise.evaluation import bias, mae, psnr, rmse


def pair(shape: tuple[int, ...] = (20, 24, 12)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    reference = rng.uniform(-1000, 1500, shape).astype(np.float32)
    return reference, (reference + 30 * rng.standard_normal(shape)).astype(np.float32)


def test_against_scikit_image() -> None:
    reference, image = pair()
    expected = peak_signal_noise_ratio(reference, image, data_range=2500)
    assert psnr(reference, image, data_range=2500) == pytest.approx(expected, rel=1e-6)
    assert rmse(reference, image) == pytest.approx(
        math.sqrt(mean_squared_error(reference, image)), rel=1e-6
    )


def test_by_hand() -> None:
    reference, image = np.zeros((2, 2)), np.array([[1.0, -1.0], [3.0, 1.0]])
    assert rmse(reference, image) == pytest.approx(math.sqrt(3))
    assert mae(reference, image) == pytest.approx(1.5)
    assert psnr(reference, image, data_range=10) == pytest.approx(10 * math.log10(100 / 3))
    mask = np.array([[True, True], [False, True]])
    assert rmse(reference, image, mask=mask) == 1
    assert psnr(reference, image, data_range=10, mask=mask) == pytest.approx(20)


@pytest.mark.parametrize("scale", [1e-250, 1e-30, 1e100, 1e140])
def test_the_unit_changes_nothing(scale: float) -> None:
    reference = np.random.default_rng(0).normal(0, 10, (8, 9))
    image = reference + np.random.default_rng(1).normal(0, 1, (8, 9))
    plain = psnr(reference, image, data_range=50)
    scaled = psnr(reference * scale, image * scale, data_range=50 * scale)
    assert scaled == pytest.approx(plain, rel=1e-9)
    assert rmse(reference * scale, image * scale) == pytest.approx(
        rmse(reference, image) * scale, rel=1e-9
    )


def test_identical_images() -> None:
    reference, _ = pair()
    assert psnr(reference, reference, data_range=1) == math.inf


def test_differences_do_not_wrap_in_unsigned_types() -> None:
    assert mae(np.array([[5]], np.uint8), np.array([[250]], np.uint8)) == 245


@pytest.mark.parametrize("data_range", [0, -5, math.nan, math.inf])
def test_impossible_data_range(data_range: float) -> None:
    with pytest.raises(ParameterError, match=r"data_range is .*above 0"):
        psnr(*pair(), data_range=data_range)


def test_bad_input() -> None:
    reference, image = pair()
    with pytest.raises(ParameterError, match="shape"):
        rmse(reference, image[1:])
    with pytest.raises(ParameterError, match="empty"):
        mae(reference, image, mask=np.zeros(reference.shape, dtype=bool))
    image[0, 0, 0] = np.nan
    with pytest.raises(ParameterError, match="not finite"):
        rmse(reference, image)


@pytest.mark.parametrize("kind", [list, np.uint8, np.float64, "masked"])
def test_masks_of_any_kind(kind: Any) -> None:
    reference, image = pair()
    inside = reference > 0
    mask = {
        list: inside.tolist,
        np.uint8: lambda: inside.astype(np.uint8) * 255,
        np.float64: lambda: np.where(inside, 0.5, np.nan),
        "masked": lambda: np.ma.masked_array(np.ones(inside.shape, dtype=bool), ~inside),
    }[kind]()
    for metric in (rmse, mae, bias):
        assert metric(reference, image, mask=mask) == metric(reference, image, mask=inside)


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_masked_in_an_image_is_never_compared(which: int) -> None:
    images = list(pair())
    hidden = images[0] > 1000
    images[which] = np.ma.masked_array(np.where(hidden, 1e6, images[which]), hidden)
    for metric in (rmse, mae, bias, partial(psnr, data_range=2500)):
        with pytest.raises(ParameterError, match="or masked"):
            metric(*images)
        assert metric(*images, mask=~hidden) == metric(*pair(), mask=~hidden)


@pytest.mark.parametrize("metric", [partial(psnr, data_range=1), rmse, mae, bias])
def test_complex_images_are_refused(metric: Any) -> None:
    real = np.ones((8, 8))
    for pair in ((real * 1j, real), (real, np.ma.masked_array(real * 1j, mask=real > 2))):
        with pytest.raises(ParameterError, match=r"not complex128: take the magnitude"):
            metric(*pair)
