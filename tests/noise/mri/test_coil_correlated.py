from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import build_noise, coil_correlated
from meddenoise.noise.mri import coil_sensitivities

COMPLEX = np.array(
    [[2.0, 0.6 + 0.5j, 0.0], [0.6 - 0.5j, 1.0, -0.3j], [0.0, 0.3j, 1.5]], dtype=np.complex128
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def squares(psi: np.ndarray, s: np.ndarray, signal: float, sigma: float) -> torch.Tensor:
    """M^2 of 500 x 600 pixels of one signal, seen by coils of constant sensitivity."""
    x = torch.full((500, 600), signal, dtype=torch.float64)
    return coil_correlated(
        x, sigma, covariance=psi, sensitivities=s.reshape(-1, 1, 1), generator=seeded()
    ).square()


@pytest.mark.parametrize("signal", [0.0, 3.0, 20.0])
def test_moments_of_the_squared_magnitude(signal: float) -> None:
    sigma, s = 1.5, np.array([0.5 + 0.5j, 0.7, -0.2j])
    found = squares(COMPLEX, s, signal, sigma)
    mean = signal**2 * np.vdot(s, s).real + 2 * sigma**2 * np.trace(COMPLEX).real
    variance = (
        4 * sigma**2 * signal**2 * np.vdot(s, COMPLEX @ s).real
        + 4 * sigma**4 * np.trace(COMPLEX @ COMPLEX).real
    )
    assert found.mean() == pytest.approx(mean, abs=5 * math.sqrt(variance / found.numel()))
    assert found.var() == pytest.approx(variance, rel=0.02)


def test_the_noise_is_that_of_the_cholesky_factor_not_of_its_conjugate() -> None:
    # s and its conjugate see the same |s|^2, but not the same s^H Psi s.
    s = np.array([0.6, 0.8j, 0.4])
    one, other = (squares(COMPLEX, v, 30.0, 1.0).var() for v in (s, s.conj()))
    expected = [4 * 900 * np.vdot(v, COMPLEX @ v).real for v in (s, s.conj())]
    assert abs(expected[0] / expected[1] - 1) > 0.3
    assert float(one / other) == pytest.approx(expected[0] / expected[1], rel=0.03)


def test_correlation_is_that_of_a_uniform_covariance() -> None:
    psi = np.full((4, 4), 0.4) + 0.6 * np.eye(4)
    x = torch.full((20, 30), 50.0)
    one = coil_correlated(x, 2.0, coils=4, correlation=0.4, generator=seeded())
    other = coil_correlated(x, 2.0, covariance=psi.tolist(), generator=seeded())
    torch.testing.assert_close(one, other)
    by_name = build_noise("coil_correlated", sigma=2, covariance=psi.tolist())
    torch.testing.assert_close(by_name.apply(x, reference=1.0, generator=seeded()), other)


@pytest.mark.parametrize("shape", [(12, 14), (12, 14, 3)])
def test_without_noise_the_image_comes_back(shape: tuple[int, ...]) -> None:
    s = coil_sensitivities(shape, 6)
    assert s.shape == (6, 12, 14, *[1] * (len(shape) - 2))
    torch.testing.assert_close(s.abs().square().sum(0), torch.ones_like(s[0].real))
    x = torch.rand(2, 1, *shape)
    torch.testing.assert_close(coil_correlated(x, 0.0, coils=6), x)


def test_the_noise_depends_on_the_place_and_not_on_it_without_correlation() -> None:
    x = torch.full((4000, 1, 8, 8), 100.0)
    for correlation, spread in ((0.0, 0.0), (0.8, 0.5)):
        noisy = coil_correlated(x, 1.0, coils=4, correlation=correlation, generator=seeded())
        variance = noisy.var(dim=0)[0]
        # s^H Psi s where the coils' phases differ
        s = coil_sensitivities((8, 8), 4)
        expected = (1 - correlation) + correlation * s.sum(0).abs().square()
        torch.testing.assert_close(variance.double(), expected, rtol=0.15, atol=0.02)
        assert float(expected.max() - expected.min()) >= spread - 1e-6


def test_slabs_change_only_the_order_of_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("meddenoise.noise.mri.coil_correlated")
    monkeypatch.setattr(module, "_AT_ONCE", 4 * 30)
    x = torch.rand(7, 5, 6)
    level = torch.linspace(0, 2, 7).reshape(7, 1, 1)
    noisy = coil_correlated(x, level, coils=3, generator=seeded())
    torch.testing.assert_close(noisy[0], x[0])
    assert not torch.equal(noisy[1:4], x[1:4])
    assert not torch.equal(noisy[6], x[6])
    batch = coil_correlated(x.reshape(1, 1, 7, 5, 6), level, coils=3, generator=seeded())
    torch.testing.assert_close(batch[0, 0], noisy)


@pytest.mark.parametrize("unit", [2.0**-100, 2.0**100])
def test_squares_that_are_no_numbers_do_no_harm(unit: float) -> None:
    x = torch.full((50, 50), 20.0)
    expected = coil_correlated(x, 3.0, generator=seeded())
    found = coil_correlated(x * unit, 3.0 * unit, generator=seeded()) / unit
    torch.testing.assert_close(found, expected)


def test_seeded_and_in_the_type_of_the_image() -> None:
    x = torch.ones(5, 6)
    once, again = (coil_correlated(x, 1.0, generator=seeded(2)) for _ in range(2))
    assert torch.equal(once, again)
    assert once.dtype == torch.float32
    assert torch.equal(x, torch.ones(5, 6))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"sigma": -1.0}, r"sigma is -1.*at least 0"),
        ({"coils": 10**20}, r"coils is 10{20}: .* at most 1024"),
        ({"coils": 0}, r"coils is 0.*at least 1 \(receive coils\)"),
        ({"correlation": 1.0}, r"correlation is 1:.*at least 0 and below 1"),
        ({"correlation": -0.1}, r"correlation is -0\.1.*at least 0"),
        ({"covariance": [[1, 2], [2, 1]]}, r"not positive definite.*eigenvalue is -1.*above 0"),
        ({"covariance": [[1, 1], [1, 1]]}, r"not positive definite"),
        ({"covariance": [[1, 0.5], [0.2, 1]]}, r"not Hermitian.*sigma\^2"),
        ({"covariance": [[1, float("nan")], [0, 1]]}, r"not Hermitian"),
        ({"covariance": [[1, 0.5]]}, r"covariance has shape \(1, 2\).*\(coils, coils\)"),
        ({"covariance": "psi"}, r"covariance must be an array"),
        ({"sensitivities": torch.ones(3, 1, 1)}, r"sensitivities has shape \(3, 1, 1\): for 8"),
        ({"sensitivities": torch.ones(8, 7, 7)}, r"sensitivities has shape \(8, 7, 7\)"),
    ],
)
def test_impossible_parameters(arguments: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        coil_correlated(torch.ones(4, 5), **{"sigma": 1.0, **arguments})
