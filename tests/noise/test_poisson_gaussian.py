from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import build_noise, poisson_gaussian


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_variance_is_a_line_of_the_signal() -> None:
    gain, sigma, offset, count = 2.5, 4.0, 20.0, 200_000
    signals = np.array([20.0, 30.0, 70.0, 300.0, 1000.0])
    x = torch.from_numpy(signals)[:, None].expand(-1, count)
    y = poisson_gaussian(x, gain, sigma=sigma, offset=offset, generator=seeded())
    variances = gain * (signals - offset) + sigma**2
    np.testing.assert_allclose(y.var(dim=1), variances, rtol=0.02)
    errors = 5 * np.sqrt(variances / count)
    assert (np.abs(y.mean(dim=1).numpy() - signals) < errors).all()
    slope, intercept = np.polyfit(signals, y.var(dim=1).numpy(), 1)
    assert slope == pytest.approx(gain, rel=0.02)
    assert intercept + slope * offset == pytest.approx(sigma**2, rel=0.1)


def test_without_gaussian_noise_values_are_whole_photons_above_the_offset() -> None:
    x = torch.full((1000,), 7.0, dtype=torch.float64)
    photons = (poisson_gaussian(x, 0.5, offset=3.0, generator=seeded()) - 3.0) / 0.5
    torch.testing.assert_close(photons, photons.round())
    assert photons.var() == pytest.approx(8, rel=0.15)


def test_below_the_offset_there_is_only_the_detector_s_noise() -> None:
    x = torch.full((100_000,), -50.0)
    assert torch.equal(poisson_gaussian(x, 1.0), x)
    y = poisson_gaussian(x, 1.0, sigma=3.0, generator=seeded())
    assert y.mean() == pytest.approx(-50, abs=0.05)
    assert y.std() == pytest.approx(3, rel=0.02)


def test_a_gain_of_one_percent_is_a_hundred_photons_at_the_reference() -> None:
    x = torch.full((200_000,), 800.0)
    y = build_noise("poisson_gaussian", gain="1%").apply(x, reference=800.0, generator=seeded())
    assert float((y / 800).var()) == pytest.approx(1 / 100, rel=0.02)


def test_seeded_untouched_per_sample_and_not_finite() -> None:
    x = torch.full((2, 1, 200, 200), 50.0)
    gain = torch.tensor([1.0, 9.0]).reshape(2, 1, 1, 1)
    once, again = (poisson_gaussian(x, gain, sigma=1.0, generator=seeded(1)) for _ in range(2))
    assert torch.equal(once, again)
    assert torch.equal(x, torch.full_like(x, 50.0))
    assert once.std(dim=(1, 2, 3)).tolist() == pytest.approx([51**0.5, 451**0.5], rel=0.03)
    odd = poisson_gaussian(torch.tensor([1.0, math.nan, math.inf]), 1.0, generator=seeded())
    assert odd.isfinite().tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"gain": 0.0}, r"gain is 0.*above 0 \(image units per photon\)"),
        ({"gain": 1.0, "sigma": -1.0}, r"sigma is -1.*at least 0 \(standard deviation"),
        ({"gain": 1.0, "offset": math.inf}, r"offset is inf: it must be finite \(image units\)"),
    ],
)
def test_impossible_parameters(arguments: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        poisson_gaussian(torch.ones(3), **arguments)
