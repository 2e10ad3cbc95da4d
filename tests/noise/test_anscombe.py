from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from meddenoise.errors import ParameterError
from meddenoise.noise.anscombe import Anscombe

PHOTONS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 49.9, 50.1, 70.0, 200.0, 1000.0)


@pytest.mark.parametrize("photons", PHOTONS)
@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (4.0, 0.0), (0.01, 2.0)])
def test_the_inverse_is_unbiased_by_the_sum_over_all_counts(
    photons: float, gain: float, offset: float
) -> None:
    anscombe = Anscombe(gain, -gain * offset)
    counts = np.arange(int(photons + 12 * photons**0.5 + 30), dtype=np.float64)
    likely = poisson.pmf(counts, photons)
    f = anscombe.forward(gain * counts + offset)
    mean = likely @ f
    clean = gain * photons + offset
    assert anscombe.inverse(np.array([mean]))[0] == pytest.approx(clean, abs=0.012 * gain)
    assert anscombe.expected(np.array([clean]))[0] == pytest.approx(mean, abs=2e-3)
    if photons >= 4:
        assert np.sqrt(likely @ (f - mean) ** 2) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("gain", "sigma"), [(1.0, 0.5), (1.0, 3.0), (5.0, 8.0), (2.0, 200.0)])
@pytest.mark.parametrize("photons", [0.0, 1.0, 6.0, 55.0, 300.0])
def test_with_the_detector_s_own_noise(gain: float, sigma: float, photons: float) -> None:
    draws = np.random.default_rng(0)
    noisy = gain * draws.poisson(photons, 400_000) + sigma * draws.standard_normal(400_000)
    anscombe = Anscombe(gain, sigma**2)
    f = anscombe.forward(noisy)
    error = anscombe.inverse(f.mean(keepdims=True))[0] - gain * photons
    noise = np.sqrt(gain**2 * photons + sigma**2)
    assert abs(error) < 5 * noise / 400_000**0.5 + 0.012 * gain
    if sigma >= gain:
        assert f.std() == pytest.approx(1, abs=0.11)


@pytest.mark.parametrize("variance", [0.0, 9.0, 4e4, -6.0])
def test_the_inverse_undoes_the_expectation(variance: float) -> None:
    anscombe = Anscombe(2.0, variance)
    lowest = max(-variance, 0) / 2
    clean = lowest + np.concatenate([np.linspace(0, 400, 1000), [1e4, 1e7]])
    np.testing.assert_allclose(anscombe.inverse(anscombe.expected(clean)), clean, rtol=1e-6)
    # Below no photons there is nothing.
    assert anscombe.inverse(np.array([-5.0, 0.0])) == pytest.approx([lowest, lowest])


def test_the_forward_is_the_formula() -> None:
    z = np.array([0.0, 7.0, -1000.0])
    expected = [2 / 3 * (9 * 3 / 8 + 5) ** 0.5, 2 / 3 * (21 + 9 * 3 / 8 + 5) ** 0.5, 0.0]
    assert Anscombe(3.0, 5.0).forward(z) == pytest.approx(expected)


def test_what_is_no_number_stays_and_the_type_is_kept() -> None:
    anscombe = Anscombe(1.0, 2.0)
    for dtype in (np.float32, np.float64):
        array = np.array([[1.0, np.nan], [300.0, 0.0]], dtype=dtype)
        for function in (anscombe.forward, anscombe.inverse, anscombe.expected):
            found = function(array)
            assert found.dtype == dtype
            np.testing.assert_array_equal(np.isnan(found), np.isnan(array))


@pytest.mark.parametrize(
    ("gain", "variance"), [(0.0, 1.0), (-1.0, 1.0), (np.nan, 1.0), (1.0, np.inf)]
)
def test_impossible_numbers(gain: float, variance: float) -> None:
    with pytest.raises(ParameterError, match="gain, in image units per photon, is above 0"):
        Anscombe(gain, variance)


def test_what_it_is_called() -> None:
    told = "Poisson-Gaussian noise of gain 2, variance -3.5 at 0"
    assert str(Anscombe(2, -3.5)) == told
