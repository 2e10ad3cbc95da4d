from __future__ import annotations

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.noise.background import agree, noise_background


def ball(shape: tuple[int, ...]) -> np.ndarray:
    """A textured ball of about 600 in the middle of nothing."""
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in grid))
    return np.where(radius < 0.6, 600 + 100 * np.cos(9 * grid[0]) * np.sin(7 * grid[1]), 0.0)


def magnitude(clean: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    channels = sigma * np.random.default_rng(seed).standard_normal((2, *clean.shape))
    return np.hypot(clean + channels[0], channels[1]).astype(np.float32)


@pytest.mark.parametrize("sigma", [5.0, 40.0])
@pytest.mark.parametrize("shape", [(64, 64, 48), (256, 200)])
def test_rayleigh_noise_around_an_object(shape: tuple[int, ...], sigma: float) -> None:
    clean = ball(shape)
    found = noise_background(magnitude(clean, sigma))
    assert found is not None
    assert found.sigma == pytest.approx(sigma, rel=0.02)
    assert found.magnitude
    assert found.certain
    assert not (found.mask & (clean > 0)).any()
    assert found.mask.sum() > 0.6 * (clean == 0).sum()
    assert found.share == pytest.approx(found.mask.mean())


@pytest.mark.parametrize("coils", [2, 8, 32])
@pytest.mark.parametrize("shape", [(64, 64, 48), (256, 200)])
def test_chi_noise_of_several_coils(shape: tuple[int, ...], coils: int) -> None:
    clean = ball(shape)
    channels = 20 * np.random.default_rng(coils).standard_normal((2 * coils, *shape))
    channels[0] += clean
    noisy = np.sqrt(np.square(channels).sum(0)).astype(np.float32)
    assert noise_background(noisy) is None
    found = noise_background(noisy, coils=coils)
    assert found is not None
    assert found.sigma == pytest.approx(20, rel=0.02)
    assert found.certain
    assert not (found.mask & (clean > 0)).any()
    assert found.share > 0.6 * (clean == 0).mean()


@pytest.mark.parametrize("coils", [4, 16])
def test_of_several_coils_a_weak_signal_is_not_taken_for_noise(coils: int) -> None:
    channels = 20 * np.random.default_rng(5).standard_normal((2 * coils, 64, 64, 48))
    channels[0] += 15 * coils**0.5 * np.linspace(1, 1.5, 64)[:, None, None]
    assert noise_background(np.sqrt(np.square(channels).sum(0)), coils=coils) is None


def test_noise_around_zero() -> None:
    clean = ball((64, 64, 48))
    noisy = clean + 20 * np.random.default_rng(1).standard_normal(clean.shape)
    found = noise_background(noisy)
    assert found is not None
    assert found.sigma == pytest.approx(20, rel=0.02)
    assert not found.magnitude
    assert not (found.mask & (clean > 0)).any()


def test_whole_numbers_do_no_harm() -> None:
    found = noise_background(np.rint(magnitude(ball((64, 64, 48)), 4.0)))
    assert found is not None
    assert found.sigma == pytest.approx(4, rel=0.03)


def test_a_masked_background_says_nothing_but_what_is_left_of_it_does() -> None:
    clean = ball((64, 64, 48))
    noisy = magnitude(clean, 30.0)
    assert noise_background(np.where(clean > 0, noisy, 0)) is None
    half = np.where((clean > 0) | (np.arange(64) < 24)[:, None, None], noisy, 0)
    found = noise_background(half)
    assert found is not None
    assert found.sigma == pytest.approx(30, rel=0.02)
    assert not found.mask[28:].any()


def test_without_a_background_there_is_none() -> None:
    rng = np.random.default_rng(2)
    assert noise_background(magnitude(np.full((48, 48, 40), 200.0), 30.0)) is None
    assert noise_background(rng.normal(100, 5, (48, 48, 40))) is None
    assert noise_background(np.full((20, 20, 20), 3.0)) is None
    assert noise_background(np.full((20, 20, 20), np.nan)) is None
    # Filtered noise is no Rayleigh noise.
    smooth = magnitude(np.zeros((64, 64, 64)), 30.0).reshape(32, 2, 32, 2, 32, 2).mean((1, 3, 5))
    assert noise_background(smooth) is None


def test_a_weak_object_is_not_taken_for_noise() -> None:
    clean = np.zeros((64, 64, 48))
    clean[32:] = 40  # an SNR of 2
    found = noise_background(magnitude(clean, 20.0))
    assert found is not None
    assert found.sigma == pytest.approx(20, rel=0.02)
    assert not found.mask[32:].any()
    # At an SNR of 1 it cannot be told from noise that is stronger by sqrt(1.5), but by no more.
    found = noise_background(magnitude(clean / 2, 20.0))
    assert found is not None
    assert 19 < found.sigma < 20 * 1.5**0.5


def test_only_the_mask_and_what_is_finite_count() -> None:
    noisy = np.concatenate([magnitude(np.zeros((32, 40, 40)), s, 3) for s in (10.0, 50.0)])
    noisy[:4] = np.inf
    mask = np.zeros(noisy.shape, dtype=bool)
    mask[:32] = True
    for chosen, sigma in ((mask, 10.0), (~mask, 50.0)):
        found = noise_background(noisy, mask=chosen)
        assert found is not None
        assert found.sigma == pytest.approx(sigma, rel=0.02)
        assert not (found.mask & ~chosen).any()
        assert not found.mask[:4].any()


def test_both_agree_within_a_quarter() -> None:
    assert agree(10, 12.4)
    assert agree(12.4, 10)
    assert not agree(10, 12.6)
    assert agree(10, 18, response=0.03)  # such tissue hardly tells
    assert not agree(10, 18, response=0.3)
    assert not agree(10, 21, response=0.03)


def test_what_is_no_scan() -> None:
    with pytest.raises(ParameterError, match="2 or 3 axes"):
        noise_background(np.zeros((1, 8, 8, 8)))
    with pytest.raises(ParameterError, match="mask has shape"):
        noise_background(np.zeros((8, 8)), mask=np.ones((8, 9), dtype=bool))
    with pytest.raises(ParameterError, match="coils is 0"):
        noise_background(np.zeros((8, 8)), coils=0)


def test_a_scan_is_copied_no_more_than_it_must_be() -> None:
    import tracemalloc

    array = np.abs(np.random.default_rng(0).normal(size=(128, 128, 96))).astype(np.float32)
    noise_background(array)  # what is imported on the way
    tracemalloc.start()
    try:
        noise_background(array)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 7 * array.nbytes
