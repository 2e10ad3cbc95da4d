from __future__ import annotations

import numpy as np
import pytest

from meddenoise.errors import ParameterError
from meddenoise.noise.curve import NoiseCurve, estimate_curve
from meddenoise.noise.photon_transfer import photon_transfer


def curve(means: np.ndarray, variances: np.ndarray) -> NoiseCurve:
    return NoiseCurve(tuple(means), tuple(np.sqrt(variances)))


MEANS = np.linspace(10, 500, 15)


def test_a_line_is_found_and_outliers_do_not_tilt_it() -> None:
    variances = 2.5 * MEANS + 40
    for outliers in ([], [2, 7, 12]):
        variances[outliers] *= 5
        line = photon_transfer(curve(MEANS, variances))
        assert line.gain == pytest.approx(2.5, rel=0.02)
        assert line.variance == pytest.approx(40, rel=0.1)
        assert line.counting
    assert line.sigma(100) == pytest.approx(np.sqrt(290), rel=0.01)
    assert line.sigma(-1e6) == 0


@pytest.mark.parametrize(("gain", "offset", "sigma"), [(3.0, 0.0, 0.0), (0.5, 100.0, 6.0)])
def test_gain_and_offset_of_simulated_counts(gain: float, offset: float, sigma: float) -> None:
    rng = np.random.default_rng(0)
    clean = offset + np.repeat(np.linspace(20, 400, 20), 20)[:, None] * np.ones(400)
    noisy = gain * rng.poisson((clean - offset) / gain) + offset
    noisy = noisy + sigma * rng.standard_normal(clean.shape)
    line = photon_transfer(estimate_curve(noisy, clean))
    assert line.counting
    assert line.gain == pytest.approx(gain, rel=0.05)
    expected = sigma**2 - gain * offset
    assert line.variance == pytest.approx(expected, abs=0.05 * gain * 400)
    assert line.sigma(offset + 200) == pytest.approx(np.sqrt(200 * gain + sigma**2), rel=0.03)


@pytest.mark.parametrize(
    "variances",
    [
        np.full(15, 30.0),
        30 + 0.01 * MEANS,
        600 - MEANS,
        MEANS * np.exp(np.random.default_rng(0).standard_normal(15)),
    ],
    ids=["constant", "hardly growing", "falling", "no line"],
)
def test_what_does_not_count_photons(variances: np.ndarray) -> None:
    assert not photon_transfer(curve(MEANS, variances)).counting


def test_one_intensity_says_nothing() -> None:
    flat = photon_transfer(curve(np.full(5, 7.0), np.arange(1.0, 6)))
    assert (flat.gain, flat.variance, flat.counting) == (0, pytest.approx(3), False)
    with pytest.raises(ParameterError, match="three intensities"):
        photon_transfer(NoiseCurve((1.0, 2.0), (3.0, 4.0)))
