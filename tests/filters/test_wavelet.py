from __future__ import annotations

import numpy as np
import pytest
from skimage.restoration import denoise_wavelet

from meddenoise.errors import ParameterError
from meddenoise.filters import wavelet


def noisy(*shape: int, sigma: float = 5.0) -> np.ndarray:
    return np.random.default_rng(0).normal(100, sigma, shape).astype(np.float32)


def test_one_shift_is_scikit_image_s() -> None:
    image = noisy(32, 30, 28)
    filtered = wavelet(image, spacing=(1, 1, 1), sigma_noise=5, family="db2", levels=2, shifts=1)
    expected = denoise_wavelet(
        image - 100, sigma=5, wavelet="db2", method="BayesShrink", mode="soft", wavelet_levels=2
    )
    np.testing.assert_allclose(filtered - 100, expected, atol=0.02)


def test_the_mean_over_shifts_by_hand() -> None:
    image = noisy(24, 20)
    options = {"spacing": (1, 1), "sigma_noise": 5, "family": "db1", "levels": 1}
    spun = wavelet(image, shifts=2, **options)
    continued = np.pad(image, ((1, 0), (1, 0)), mode="edge")
    parts = [
        wavelet(continued[1 - x :, 1 - y :], shifts=1, **options)[x:, y:]
        for x in (0, 1)
        for y in (0, 1)
    ]
    np.testing.assert_allclose(spun, np.mean(parts, axis=0), atol=0.02)


@pytest.mark.parametrize(("rule", "left"), [("bayes", 0.35), ("visu", 0.1)])
def test_of_noise_little_is_left(rule: str, left: float) -> None:
    image = noisy(64, 64, 64)
    filtered = wavelet(image, spacing=(1, 1, 1), rule=rule)
    assert filtered.std() < left * 5
    assert filtered.mean() == pytest.approx(image.mean(), abs=0.01)
    assert filtered.dtype == np.float32


def test_thick_slices_do_not_mix() -> None:
    image = noisy(32, 32, 4)
    filtered = wavelet(image, spacing=(1, 1, 4), sigma_noise=5, rule="visu")
    alone = wavelet(image[:, :, 1], spacing=(1, 1), sigma_noise=5, rule="visu")
    np.testing.assert_allclose(filtered[:, :, 1], alone, atol=0.02)


def test_small_images_keep_their_shape_without_a_word(recwarn: pytest.WarningsRecorder) -> None:
    assert wavelet(noisy(12, 9, 5), spacing=(1, 1, 1), sigma_noise=5).shape == (12, 9, 5)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"family": "db99"}, "db99"),
        ({"levels": 0}, "levels"),
        ({"shifts": 0}, "shifts"),
        ({"rule": "x"}, "rule is 'x'"),
    ],
)
def test_impossible_options(option: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        wavelet(noisy(8, 8), spacing=(1, 1), sigma_noise=1, **option)
