from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid

from meddenoise.errors import ParameterError
from meddenoise.noise.moments import (
    check_coils,
    koay_inversion,
    magnitude_mean,
    magnitude_variance,
    snr_of_mean,
)

SNR = np.array([0.0, 0.1, 0.5, 1, 2, 3, 5, 10, 30])


def magnitude(snr: float, coils: int, sigma: float = 1.0, size: int = 400_000) -> np.ndarray:
    """Samples of the root of the sum of squares of ``2 coils`` normal channels."""
    channels = np.random.default_rng(0).standard_normal((size, 2 * coils))
    channels[:, 0] += snr
    return sigma * np.sqrt(np.square(channels).sum(axis=1))


def test_one_coil_is_rician() -> None:
    assert magnitude_mean(SNR) == pytest.approx([stats.rice.mean(t) for t in SNR], rel=1e-9)
    assert magnitude_variance(SNR) == pytest.approx([stats.rice.var(t) for t in SNR], rel=1e-7)
    assert magnitude_mean(0.0) == pytest.approx(np.sqrt(np.pi / 2))
    assert magnitude_variance(0.0) == pytest.approx(2 - np.pi / 2)


def test_many_coils_go_on_where_fewer_end() -> None:
    """SciPy's 1F1 is infinite for 64 coils at an SNR of 10."""
    for snr in (0.0, 5.0, 10.0, 30.0):
        few, more, many = (float(magnitude_mean(snr, n)) for n in (46, 47, 48))
        # The third difference of a root is small.
        assert many == pytest.approx(3 * (more - few) + float(magnitude_mean(snr, 45)), abs=1e-4)
    snrs = np.array([5.0, 10.0, 60.0, 300.0])
    for coils in (64, 1024):
        assert snr_of_mean(magnitude_mean(snrs, coils), coils) == pytest.approx(snrs, rel=1e-3)


def test_koay_and_basser_s_formula_of_the_variance() -> None:
    from scipy.special import i0e, i1e

    q = SNR**2 / 4  # the exponential of the formula is in the scaled Bessel functions
    bessel = (2 + SNR**2) * i0e(q) + SNR**2 * i1e(q)
    assert magnitude_variance(SNR) == pytest.approx(2 + SNR**2 - np.pi / 8 * bessel**2, rel=1e-7)


@pytest.mark.parametrize("coils", [2, 8, 64])
def test_several_coils_are_noncentral_chi(coils: int) -> None:
    for snr in (0.001, 1.0, 4.0, 9.0, 12.0):
        square = stats.ncx2(2 * coils, snr**2)
        levels = np.linspace(*square.ppf([1e-12, 1 - 1e-12]), 4001)
        mean = float(trapezoid(np.sqrt(levels) * square.pdf(levels), levels))
        assert magnitude_mean(snr, coils) == pytest.approx(mean, rel=1e-5)
        assert magnitude_variance(snr, coils) == pytest.approx(
            2 * coils + snr**2 - mean**2, rel=1e-2
        )
    samples = magnitude(2.0, coils)
    assert magnitude_mean(2.0, coils) == pytest.approx(samples.mean(), rel=2e-3)
    assert magnitude_variance(2.0, coils) == pytest.approx(samples.var(), rel=1e-2)


@pytest.mark.parametrize("coils", [1, 8])
def test_the_snr_of_a_mean_is_its_exact_inverse(coils: int) -> None:
    snr = np.array([0.5, 1, 2, 5, 20, 60, 300.0])
    assert snr_of_mean(magnitude_mean(snr, coils), coils) == pytest.approx(snr, rel=1e-4, abs=1e-4)
    assert snr_of_mean(0.9 * magnitude_mean(0.0, coils), coils) == 0


@pytest.mark.parametrize("coils", [1, 4])
@pytest.mark.parametrize("snr", [1.5, 3.0, 15.0, 100.0])
def test_signal_and_sigma_from_mean_and_deviation(snr: float, coils: int) -> None:
    sigma = 7.0
    mean = sigma * magnitude_mean(snr, coils)
    std = sigma * np.sqrt(magnitude_variance(snr, coils))
    signal, found = koay_inversion(mean, std, coils)
    assert found == pytest.approx(sigma, rel=2e-3)
    assert signal == pytest.approx(snr * sigma, rel=2e-3)


@pytest.mark.parametrize("snr", [2.0, 6.0])
def test_signal_and_sigma_from_samples(snr: float) -> None:
    samples = magnitude(snr, 1, sigma=40.0)
    signal, sigma = koay_inversion(samples.mean(), samples.std())
    assert sigma == pytest.approx(40, rel=0.01)
    assert signal == pytest.approx(40 * snr, rel=0.01)


def test_less_than_pure_noise_is_taken_for_it() -> None:
    rayleigh = np.sqrt(2 - np.pi / 2)
    signal, sigma = koay_inversion([0.1, 1.0], [rayleigh, rayleigh])
    assert sigma == pytest.approx([1, 1], rel=1e-6)
    assert signal.tolist() == [0, 0]


@pytest.mark.parametrize(
    "coils", [0, -1, 1.5, True, float("nan"), float("inf"), "4", 1025, 10**5, 10**400]
)
def test_coils_are_a_whole_number(coils: float) -> None:
    with pytest.raises(ParameterError, match="whole number of at least 1"):
        check_coils(coils)  # type: ignore[arg-type]
    assert check_coils(np.int64(8)) == check_coils(8.0) == 8  # type: ignore[arg-type]
    assert bool(np.isfinite(magnitude_mean(SNR, check_coils(1024))).all())
