from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import ive

from meddenoise.errors import ParameterError
from meddenoise.noise import rician


def analytic_mean(signal: float, sigma: float) -> float:
    """E[M] = sigma sqrt(pi/2) L_1/2(-A^2 / 2 sigma^2), by Bessel functions."""
    x = signal**2 / (2 * sigma**2)
    laguerre = (1 + x) * ive(0, x / 2) + x * ive(1, x / 2)
    return sigma * math.sqrt(math.pi / 2) * float(laguerre)


@pytest.mark.parametrize("snr", [0.0, 0.5, 1.0, 2.0, 5.0, 20.0])
def test_mean_and_variance_at_several_signal_to_noise_ratios(snr: float) -> None:
    sigma, count = 3.0, 1_000_000
    x = torch.full((count,), snr * sigma, dtype=torch.float64)
    m = rician(x, sigma, generator=torch.Generator().manual_seed(1))
    mean = analytic_mean(snr * sigma, sigma)
    variance = (snr * sigma) ** 2 + 2 * sigma**2 - mean**2
    assert m.mean() == pytest.approx(mean, abs=5 * math.sqrt(variance / count))
    assert m.var() == pytest.approx(variance, rel=0.01)
    assert m.square().mean() == pytest.approx((snr * sigma) ** 2 + 2 * sigma**2, rel=0.01)


def test_no_signal_is_rayleigh_and_no_noise_is_the_magnitude() -> None:
    m = rician(torch.zeros(400_000), 1.0, generator=torch.Generator().manual_seed(0))
    below_median = (m < math.sqrt(2 * math.log(2))).double().mean()
    assert below_median == pytest.approx(0.5, abs=0.004)
    assert m.min() >= 0
    assert torch.equal(rician(torch.tensor([3.0, -2.0]), 0.0), torch.tensor([3.0, 2.0]))


def test_seeded_and_input_untouched() -> None:
    x = torch.linspace(0, 10, 1000)
    before = x.clone()
    once, again = (rician(x, 1.0, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(once, again)
    assert torch.equal(x, before)
    assert once.dtype == torch.float32


def test_levels_per_sample() -> None:
    sigma = torch.tensor([1.0, 4.0]).reshape(2, 1, 1, 1)
    m = rician(torch.zeros(2, 1, 300, 300), sigma, generator=torch.Generator().manual_seed(0))
    spread = m.std(dim=(1, 2, 3)).numpy()
    np.testing.assert_allclose(spread, math.sqrt(2 - math.pi / 2) * np.array([1, 4]), rtol=0.02)


def test_negative_sigma() -> None:
    with pytest.raises(ParameterError, match=r"sigma is -2.*at least 0"):
        rician(torch.ones(3), -2.0)
