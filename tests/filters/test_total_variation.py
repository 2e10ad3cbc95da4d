from __future__ import annotations

import importlib

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.filters import total_variation


def step(length: int, *others: int) -> np.ndarray:
    """0, then 100 along the first axis."""
    array = np.zeros((2 * length, *others))
    array[length:] = 100
    return array


def test_a_step_loses_the_contrast_that_theory_says() -> None:
    # Of all images with one step, sum (u - y)^2 / (2 w) + |step| is least where each half of n
    # voxels has moved by w / n.
    filtered = total_variation(
        step(8, 6), spacing=(1, 1), sigma_noise=10, strength=2.0, iterations=4000
    )
    np.testing.assert_allclose(filtered[:8], 20 / 8, atol=0.02)
    np.testing.assert_allclose(filtered[8:], 100 - 20 / 8, atol=0.02)


def test_thick_slices_do_not_mix() -> None:
    array = np.random.default_rng(0).normal(0, 5, (20, 16, 4)).astype(np.float32)
    how = {"sigma_noise": 5, "strength": 0.6}
    filtered = total_variation(array, spacing=(1, 1, 5), **how)
    # (The mean is taken off first, which changes the last digit.)
    alone = total_variation(array[:, :, 2], spacing=(1, 1), **how)
    np.testing.assert_allclose(filtered[:, :, 2], alone, atol=1e-4)
    mixed = total_variation(array, spacing=(1, 1, 1), **how)
    assert np.abs(mixed[:, :, 2] - alone).max() > 1


def test_slabs_give_what_one_piece_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = np.random.default_rng(0).normal(100, 5, (80, 10, 8)).astype(np.float32)
    how = {"spacing": (1, 1, 1), "sigma_noise": 5, "strength": 0.6, "iterations": 12}
    whole = total_variation(noisy, **how)
    module = importlib.import_module("meddenoise.filters.total_variation")
    monkeypatch.setattr(module, "_SLAB_VOXELS", 40 * 10 * 8)
    np.testing.assert_allclose(total_variation(noisy, **how), whole, rtol=0, atol=1e-4)


def test_noise_goes_by_its_strength() -> None:
    noisy = np.random.default_rng(0).normal(-1000, 30, (24, 24, 24)).astype(np.float32)
    filtered = total_variation(noisy, spacing=(1, 1, 1))
    assert filtered.mean() == pytest.approx(noisy.mean(), abs=0.1)
    assert filtered.std() < 0.2 * 30
    assert filtered.dtype == np.float32
    gentle = total_variation(noisy, spacing=(1, 1, 1), sigma_noise=3)
    assert gentle.std() > 0.7 * 30


@pytest.mark.parametrize("sigma", [3.0, 30.0])
def test_it_is_as_strong_as_comes_closest(sigma: float) -> None:
    clean = 20 * np.sin(np.indices((32, 30, 28)).sum(axis=0) / 6) + step(16, 30, 28)
    noisy = clean + sigma * np.random.default_rng(0).standard_normal(clean.shape)
    errors = [
        np.mean(
            (total_variation(noisy, spacing=(1, 1, 1), sigma_noise=sigma, strength=s) - clean) ** 2
        )
        for s in (None, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
    ]
    assert errors[0] < 1.02 * min(errors)
    assert 1.2 * min(errors) < max(errors)


@pytest.mark.parametrize("option", [{"strength": 0.0}, {"iterations": 0}])
def test_impossible_options(option: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(option))):
        total_variation(np.zeros((4, 4), np.float32), spacing=(1, 1), sigma_noise=1, **option)
