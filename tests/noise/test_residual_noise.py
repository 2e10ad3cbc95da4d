from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from meddenoise.noise.mri import kspace_filter
from meddenoise.noise.residual_noise import ResidualNoise

SIGMA = 0.5
blur = partial(gaussian_filter, sigma=1.5)


def anatomy(shape: tuple[int, ...]) -> np.ndarray:
    hills = gaussian_filter(np.random.default_rng(0).standard_normal(shape), 6)
    return 3.0 * (hills > 0)


def zero_filled(shape: tuple[int, ...], part: float) -> np.ndarray:
    """Noise of a scan whose k-space was measured up to that part along the first two axes."""
    h = kspace_filter(shape[:2], zero_filling=1 / part).numpy()
    drawn = np.random.default_rng(1).standard_normal(shape)
    noise = np.fft.ifftn(h.reshape(*h.shape, *[1] * (len(shape) - 2)) * np.fft.fftn(drawn)).real
    return SIGMA * noise / noise.std()


def measured(clean: np.ndarray, noise: np.ndarray) -> ResidualNoise:
    noisy = (clean + noise).astype(np.float32)
    return ResidualNoise.measured(noisy, blur(noisy), blur)


@pytest.mark.parametrize("shape", [(64, 60, 48), (200, 180)])
@pytest.mark.parametrize("part", [1.0, 0.95, 0.85])
def test_noise_is_found_as_strong_as_it_was(shape: tuple[int, ...], part: float) -> None:
    found = measured(anatomy(shape), zero_filled(shape, part))
    assert found.sigma == pytest.approx(SIGMA, rel=0.05)


def test_a_draw_is_correlated_as_the_noise_is() -> None:
    shape = (64, 64, 64)
    noise = zero_filled(shape, 0.9)
    draw = measured(anatomy(shape), noise).draw(shape, torch.Generator().manual_seed(0))
    assert (draw.shape, draw.dtype) == (shape, np.float32)
    for axis in range(3):
        for lag in (1, 2, 3):
            truth, found = (
                float((a * np.roll(a, lag, axis)).mean() / a.var()) for a in (noise, draw)
            )
            assert found == pytest.approx(truth, abs=0.04)
    assert abs(float((draw * np.roll(noise, 1, 0)).mean())) < 0.01 * SIGMA**2


def test_a_masked_background_does_not_count() -> None:
    clean = anatomy((64, 64, 48))
    brain = np.zeros(clean.shape, bool)
    brain[16:48, 16:48, 8:40] = True
    noisy = np.where(brain, clean + 5 + zero_filled(clean.shape, 1.0), 0).astype(np.float32)
    found = ResidualNoise.measured(noisy, blur(noisy), blur)
    # The mask's border is in it, but no voxels without noise.
    assert found.sigma > 0.9 * SIGMA


def test_texture_below_the_usual_strength_passes_for_no_noise() -> None:
    """Waves over 12 voxels are in all flat places, and are of few frequencies."""
    shape = (64, 64, 64)
    waves = 0.5 * np.sin(np.arange(64) * np.pi / 6)[:, None, None]
    found = measured(anatomy(shape) + waves, zero_filled(shape, 1.0))
    assert found.sigma == pytest.approx(SIGMA, rel=0.05)


def test_draws_repeat_and_fit_any_shape() -> None:
    noise = measured(anatomy((64, 64, 48)), zero_filled((64, 64, 48), 0.9))
    for shape in ((40, 30, 20), (5, 3, 1)):
        one, two = (noise.draw(shape, torch.Generator().manual_seed(3)) for _ in range(2))
        assert one.shape == shape
        assert np.array_equal(one, two)


def test_where_nothing_was_taken_away_there_is_no_noise() -> None:
    clean = anatomy((32, 32, 32)).astype(np.float32)
    found = ResidualNoise.measured(clean, clean, lambda array: array)
    assert found.sigma == 0
    assert not found.draw((8, 8, 8), torch.Generator()).any()


def test_a_floor_above_all_leaves_every_place_to_tell() -> None:
    clean = anatomy((48, 48, 48))
    noisy = (clean + zero_filled(clean.shape, 1.0)).astype(np.float32)
    assert ResidualNoise.measured(noisy, blur(noisy), blur, floor=1e3).sigma > 0


def test_a_single_slice_is_measured_as_the_picture_that_it_is() -> None:
    noisy = (anatomy((160, 160)) + zero_filled((160, 160), 0.85)).astype(np.float32)
    picture = ResidualNoise.measured(noisy, blur(noisy), blur)
    thin = ResidualNoise.measured(noisy[..., None], blur(noisy)[..., None],
                                  lambda a: blur(a[..., 0])[..., None])  # fmt: skip
    np.testing.assert_allclose(thin.covariance[..., 0], picture.covariance, rtol=1e-3, atol=1e-4)


def test_what_is_as_good_as_white_has_the_strength_that_is_known() -> None:
    clean = anatomy((64, 60, 48))
    white = measured(clean, zero_filled(clean.shape, 1.0)).settled(SIGMA)
    assert white.sigma == pytest.approx(SIGMA)
    assert np.count_nonzero(white.covariance) == 1
    coloured = measured(clean, zero_filled(clean.shape, 0.95))
    assert coloured.settled(2 * SIGMA) is coloured
