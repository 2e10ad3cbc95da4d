from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ncx2, rice

from meddenoise.errors import GeometryError, ParameterError
from meddenoise.noise.debias import debias, debias_scan
from meddenoise.volume import Volume

SNRS = np.array([0.0, 0.3, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0])


def test_the_mean_of_rician_magnitudes() -> None:
    sigma = 7.0
    means = rice.mean(SNRS, scale=sigma)
    found = debias(means, sigma)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, SNRS * sigma, atol=2e-3 * sigma)


@pytest.mark.parametrize("coils", [1, 2, 4, 16])
def test_the_mean_of_noncentral_chi_magnitudes(coils: int) -> None:
    sigma = 0.2
    m = np.arange(5e-4, 30, 1e-3)
    means = [
        1e-3 * (2 * m**2 * ncx2.pdf(m**2, 2 * coils, snr**2)).sum()
        for snr in np.maximum(SNRS[1:8], 1e-9)
    ]
    found = debias(sigma * np.array(means), sigma, coils=coils)
    np.testing.assert_allclose(found, SNRS[1:8] * sigma, atol=5e-3 * sigma)


@pytest.mark.parametrize("coils", [1, 4])
def test_of_samples(coils: int) -> None:
    draws = np.random.default_rng(0)
    parts = 3 * draws.standard_normal((2 * coils, 300_000))
    parts[0] += 4.5
    magnitude = np.sqrt(np.square(parts).sum(axis=0))
    assert debias(magnitude.mean(), 3, coils=coils) == pytest.approx(4.5, abs=0.05)
    square = debias(np.square(magnitude).mean(), 3, coils=coils, of="square")
    assert square == pytest.approx(4.5, abs=0.05)


def test_the_square_is_exact() -> None:
    squares = np.array([0.0, 8.0, 8.0 + 25.0, np.nan])
    np.testing.assert_array_equal(debias(squares, 2.0, of="square"), [0, 0, 5, np.nan])
    np.testing.assert_array_equal(
        debias(squares + 24, 2.0, coils=4, of="square"), [0, 0, 5, np.nan]
    )


def test_below_the_noise_there_is_no_signal_and_holes_stay() -> None:
    found = debias(np.array([[-1.0, 0.5], [np.nan, 100.0]]), 1.0)
    np.testing.assert_array_equal(found[0], [0, 0])
    assert np.isnan(found[1, 0])
    assert found[1, 1] == pytest.approx(100 - 1 / 200, abs=1e-3)


def test_sigma_may_be_a_map() -> None:
    sigma = np.array([[1.0, 5.0], [2.0, 3.0]])
    means = rice.mean(2.0, scale=sigma)
    np.testing.assert_allclose(debias(means, sigma), 2 * sigma, rtol=2e-3)


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.nan, np.array([1.0, 0.0])])
def test_an_impossible_sigma(sigma: float) -> None:
    with pytest.raises(ParameterError, match="sigma must be finite and above 0"):
        debias(np.ones(2), sigma)


def test_other_impossible_arguments() -> None:
    with pytest.raises(ParameterError, match="coils is 0"):
        debias(np.ones(2), 1.0, coils=0)
    with pytest.raises(ParameterError, match="'mean' or 'square'"):
        debias(np.ones(2), 1.0, of="median")  # type: ignore[arg-type]


def magnitude(*shape: int, sigma: float = 5.0, seed: int = 0) -> np.ndarray:
    """A cube of an SNR of 3 in noise."""
    draws = np.random.default_rng(seed)
    clean = np.zeros(shape)
    clean[tuple(slice(n // 4, -(n // 4)) for n in shape)] = 3 * sigma
    parts = sigma * draws.standard_normal((2, *shape))
    return np.hypot(clean + parts[0], parts[1]).astype(np.float32)


def test_a_scan_keeps_its_holes_padding_and_blank_channels() -> None:
    array = np.stack([magnitude(20, 20, 20), np.full((20, 20, 20), 4.0)])
    array[0, 0, 0, 0], array[0, 10, 10, 10] = np.nan, -1000
    padding = np.zeros(array.shape, dtype=bool)
    padding[0, 10, 10, 10] = True
    noisy = replace(Volume.from_array(array), padding=padding)
    smooth = noisy.with_array(np.where(np.isfinite(array) & ~padding, 8.0, array), note="smoothed")
    found = debias_scan(noisy, smooth, sigma=5.0)
    assert np.isnan(found.array[0, 0, 0, 0])
    assert found.array[0, 10, 10, 10] == -1000
    inside = noisy.valid[0]
    np.testing.assert_allclose(found.array[0][inside], debias(8.0, 5.0), rtol=1e-6)
    np.testing.assert_array_equal(found.array[1], smooth.array[1])  # there is no noise in it
    assert found.history == ("smoothed", "bias of Rician noise of sigma 5 taken away")


def test_of_a_scan_sigma_is_estimated() -> None:
    noisy = Volume.from_array(magnitude(48, 48, 32))
    estimated = debias_scan(noisy, noisy)
    told = debias_scan(noisy, noisy, sigma=5.0)
    np.testing.assert_allclose(estimated.array, told.array, atol=0.5)
    assert "Rician noise of sigma" in estimated.history[-1]
    several = debias_scan(noisy, noisy, sigma=5.0, coils=3)
    assert several.array.mean() < told.array.mean()
    assert "noncentral chi noise of sigma 5, 3 coils" in several.history[-1]


def test_what_is_no_magnitude_or_lies_elsewhere() -> None:
    noisy = Volume.from_array(magnitude(16, 16, 16))
    shifted = noisy.with_array(noisy.array - 9)
    with pytest.raises(ParameterError, match="negative values"):
        debias_scan(shifted, noisy, sigma=5.0)
    with pytest.raises(GeometryError, match="the noisy scan has shape"):
        debias_scan(noisy, Volume.from_array(magnitude(16, 16, 15)), sigma=5.0)
