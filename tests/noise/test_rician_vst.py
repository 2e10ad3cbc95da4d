from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ncx2, rice

from meddenoise.errors import ParameterError
from meddenoise.noise.rician_vst import RicianStabilisation

COILS = (1, 2, 8)
SNRS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0)


def moments(stabilise: RicianStabilisation, snr: float) -> tuple[float, float]:
    """Mean and standard deviation of f(M), by scipy's own distribution of M^2."""
    step = 1e-3
    m = np.arange(step / 2, snr + 8 + 2 * stabilise.coils**0.5, step)
    likely = 2 * m * ncx2.pdf(m**2, 2 * stabilise.coils, snr**2) * step
    assert likely.sum() == pytest.approx(1, abs=1e-3)
    likely /= likely.sum()
    f = stabilise.forward(stabilise.sigma * m)
    mean = float(likely @ f)
    return mean, float(np.sqrt(likely @ (f - mean) ** 2))


def test_one_coil_is_rician() -> None:
    m = np.linspace(0.1, 6, 50)
    np.testing.assert_allclose(2 * m * ncx2.pdf(m**2, 2, 4.0), rice.pdf(m, 2.0), rtol=1e-6)


@pytest.mark.parametrize("coils", COILS)
@pytest.mark.parametrize("snr", SNRS)
def test_the_standard_deviation_is_one_and_the_inverse_unbiased(snr: float, coils: int) -> None:
    stabilise = RicianStabilisation(3.0, coils)
    mean, std = moments(stabilise, max(snr, 1e-4))
    assert std == pytest.approx(1, abs=0.04)
    clean = np.array([3.0 * snr])
    assert stabilise.expected(clean)[0] == pytest.approx(mean, abs=4e-3)
    # In sigma; where there is no signal, E[f(M)] hardly depends on it.
    error = (stabilise.inverse(np.array([mean])) - clean)[0] / 3
    assert abs(error) < (0.07 if snr == 0 else 0.02)


@pytest.mark.parametrize("coils", COILS)
def test_of_samples_the_mean_signed_error_is_none(coils: int) -> None:
    draws = np.random.default_rng(0)
    stabilise = RicianStabilisation(0.5, coils)
    for snr in (1.0, 2.0, 5.0):
        parts = 0.5 * draws.standard_normal((2 * coils, 200_000))
        parts[0] += 0.5 * snr
        magnitude = np.sqrt(np.square(parts).sum(axis=0))
        mean = stabilise.forward(magnitude).mean(keepdims=True)
        assert abs(float(stabilise.inverse(mean)[0]) - 0.5 * snr) < 0.02 * 0.5
        assert magnitude.mean() - 0.5 * snr > 0.045  # what there would be otherwise


@pytest.mark.parametrize("coils", COILS)
def test_the_inverse_undoes_the_expectation_and_goes_on_beyond_the_table(coils: int) -> None:
    stabilise = RicianStabilisation(2.0, coils)
    clean = np.concatenate([np.linspace(0, 100, 500), [1e3, 1e5]])
    np.testing.assert_allclose(stabilise.inverse(stabilise.expected(clean)), clean, atol=1e-6)
    steps = np.diff(stabilise.forward(np.linspace(0, 500, 4000)))
    assert steps.min() > 0
    assert steps[-500:] == pytest.approx(np.full(500, steps[-1]), rel=1e-6)
    # A strong signal's noise is Gaussian already: the distance between two is kept.
    far = stabilise.forward(np.array([800.0, 1000.0]))
    assert far[1] - far[0] == pytest.approx(100, rel=1e-6)


def test_a_negative_truth_is_the_signal_of_another_phase() -> None:
    stabilise = RicianStabilisation(1.0)
    np.testing.assert_array_equal(
        stabilise.expected(np.array([-3.0, 3.0])), stabilise.expected(np.array([3.0, 3.0]))
    )


def test_what_is_no_number_stays_and_the_type_is_kept() -> None:
    stabilise = RicianStabilisation(1.0)
    for dtype in (np.float32, np.float64):
        array = np.array([[1.0, np.nan], [3.0, 0.0]], dtype=dtype)
        for function in (stabilise.forward, stabilise.inverse, stabilise.expected):
            found = function(array)
            assert found.dtype == dtype
            np.testing.assert_array_equal(np.isnan(found), np.isnan(array))
    assert array[0, 0] == 1  # not modified
    # A denoiser may fall below what noise alone would give: there is no signal there.
    assert stabilise.inverse(np.array([-2.0]))[0] == 0


def test_negative_values_are_no_magnitude() -> None:
    with pytest.raises(ParameterError, match="negative values, so it is no magnitude"):
        RicianStabilisation(1.0).forward(np.array([1.0, -0.1]))


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.nan, np.inf])
def test_an_impossible_sigma(sigma: float) -> None:
    with pytest.raises(ParameterError, match="finite and above 0"):
        RicianStabilisation(sigma)


@pytest.mark.parametrize("coils", [0, -1, 1.5, True])
def test_impossible_coils(coils: int) -> None:
    with pytest.raises(ParameterError, match="coils is"):
        RicianStabilisation(1.0, coils)


def test_what_it_is_called() -> None:
    assert str(RicianStabilisation(12.34567)) == "Rician noise of sigma 12.35"
    assert str(RicianStabilisation(1, 4)) == "noncentral chi noise of sigma 1, 4 coils"
