from __future__ import annotations

import math

import pytest
import torch
from scipy.special import gammaln, hyp1f1

from meddenoise.errors import ParameterError
from meddenoise.noise import noncentral_chi, rician


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def analytic_mean(signal: float, sigma: float, coils: int) -> float:
    """E[M] by the confluent hypergeometric function, an expression other than the docstring's."""
    ratio = math.exp(gammaln(coils + 0.5) - gammaln(coils))
    return sigma * math.sqrt(2) * ratio * float(hyp1f1(-0.5, coils, -(signal**2) / (2 * sigma**2)))


@pytest.mark.parametrize("coils", [2, 4, 12])
@pytest.mark.parametrize("snr", [0.0, 1.0, 5.0])
def test_mean_and_variance(snr: float, coils: int) -> None:
    sigma, count = 3.0, 300_000
    signal = snr * sigma
    x = torch.full((count,), signal, dtype=torch.float64)
    m = noncentral_chi(x, sigma, coils=coils, generator=seeded())
    mean = analytic_mean(signal, sigma, coils)
    square = signal**2 + 2 * coils * sigma**2
    assert m.mean() == pytest.approx(mean, abs=5 * sigma / math.sqrt(count))
    assert m.var() == pytest.approx(square - mean**2, rel=0.015)
    # var(M^2) = 4 n sigma^4 + 4 sigma^2 A^2
    spread = math.sqrt(4 * coils * sigma**4 + 4 * (sigma * signal) ** 2)
    assert m.square().mean() == pytest.approx(square, abs=5 * spread / math.sqrt(count))
    assert m.square().std() == pytest.approx(spread, rel=0.02)


def test_one_coil_is_rician() -> None:
    x = torch.linspace(-5, 5, 1000)
    chi = noncentral_chi(x, 2.0, coils=1, generator=seeded(3))
    torch.testing.assert_close(chi, rician(x, 2.0, generator=seeded(3)))


def test_seeded_untouched_and_a_level_per_sample() -> None:
    x = torch.zeros(2, 1, 100, 100)
    sigma = torch.tensor([1.0, 4.0]).reshape(2, 1, 1, 1)
    once, again = (noncentral_chi(x, sigma, generator=seeded(5)) for _ in range(2))
    assert torch.equal(once, again)
    assert not x.any()
    ratio = once[1].square().mean() / once[0].square().mean()
    assert ratio == pytest.approx(16, rel=0.03)
    assert torch.equal(noncentral_chi(torch.tensor([-3.0]), 0.0), torch.tensor([3.0]))


@pytest.mark.parametrize("unit", [2.0**-100, 2.0**100])
def test_squares_that_are_no_numbers_do_no_harm(unit: float) -> None:
    x = torch.full((50, 50), 20.0)
    expected = noncentral_chi(x, 3.0, generator=seeded())
    torch.testing.assert_close(
        noncentral_chi(x * unit, 3.0 * unit, generator=seeded()) / unit, expected
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"sigma": -1.0}, r"sigma is -1.*at least 0 .*image units"),
        ({"sigma": 1.0, "coils": 0}, r"coils is 0.*at least 1 \(receive coils\)"),
        ({"sigma": 1.0, "coils": 10**12}, r"coils is 10{12}: .* at most 1024"),
        ({"sigma": 1.0, "coils": 2.5}, r"coils is 2\.5.*whole number \(receive coils\)"),
    ],
)
def test_impossible_parameters(arguments: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        noncentral_chi(torch.ones(3), **arguments)
