"""meddenoise.data.samples.degrade: noise of the stated size."""

from __future__ import annotations

import numpy as np
import pytest

from meddenoise.data.samples.degrade import ct_low_dose, ct_sigma, gaussian


def test_gaussian_has_the_stated_sigma_and_no_bias() -> None:
    clean = np.full((50, 50, 50), 100, dtype=np.float32)
    noisy = gaussian(clean, 20.0, np.random.default_rng(0))
    assert noisy.dtype == np.float32
    assert noisy.std() == pytest.approx(20, rel=0.01)
    assert noisy.mean() == pytest.approx(100, abs=0.3)
    assert clean.max() == clean.min() == 100


@pytest.mark.parametrize("hu", [-1000.0, -100.0, 0.0, 110.0])
def test_ct_noise_has_its_predicted_sigma_and_little_bias(hu: float) -> None:
    clean = np.full((50, 50, 50), hu, dtype=np.float32)
    noisy = ct_low_dose(clean, 0.1, np.random.default_rng(0))
    sigma = float(ct_sigma(clean, 0.1).flat[0])
    assert noisy.std() == pytest.approx(sigma, rel=0.02)
    assert abs(noisy.mean() - hu) < 0.1 * sigma


def test_ct_noise_falls_with_the_root_of_dose() -> None:
    clean = np.zeros((4, 4, 4), dtype=np.float32)
    assert ct_sigma(clean, 0.25)[0, 0, 0] == pytest.approx(2 * ct_sigma(clean, 1.0)[0, 0, 0])


def test_a_ray_without_photons_stays_finite() -> None:
    noisy = ct_low_dose(np.full((8, 8, 8), 3000, dtype=np.float32), 1e-3, np.random.default_rng(0))
    assert np.isfinite(noisy).all()
