from __future__ import annotations

import math

import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import ct_sigma, poisson_ct


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("tissue", [-1000.0, -700.0, 0.0, 400.0])
@pytest.mark.parametrize("dose", [1.0, 0.25])
def test_counts_have_mean_equal_to_variance(tissue: float, dose: float) -> None:
    photons, path, mu = 2e4, 150.0, 0.0192
    hu = torch.full((400_000,), tissue, dtype=torch.float64)
    noisy = poisson_ct(hu, dose, photons=photons, path_mm=path, mu_water=mu, generator=seeded())
    counts = dose * photons * torch.exp(-path * mu * (1 + noisy / 1000))
    expected = dose * photons * math.exp(-path * mu * (1 + tissue / 1000))
    assert counts.mean() == pytest.approx(expected, rel=5 / math.sqrt(expected * 400_000))
    assert counts.var() == pytest.approx(expected, rel=0.012)
    assert torch.allclose(counts, counts.round(), atol=1e-5)


def test_water_has_the_noise_that_the_docstring_states() -> None:
    water = torch.zeros(400_000)
    for dose, stated in ((1.0, 5.62), (0.25, 11.23)):
        noisy = poisson_ct(water, dose, generator=seeded())
        assert noisy.std() == pytest.approx(stated, rel=0.01)
        assert noisy.mean() == pytest.approx(0.0, abs=0.4)


@pytest.mark.parametrize("tissue", [-900.0, 0.0, 60.0, 1000.0])
def test_ct_sigma_predicts_the_noise(tissue: float) -> None:
    noisy = poisson_ct(torch.full((400_000,), tissue), 0.5, photons=3e5, generator=seeded())
    assert noisy.std() == pytest.approx(float(ct_sigma(tissue, 0.5, photons=3e5)), rel=0.02)


@pytest.mark.parametrize(
    ("photons", "share"), [(20.0, 1.04), (10.0, 1.10), (5.0, 1.20), (1.0, 0.61)]
)
def test_where_few_photons_are_left_it_is_off_as_stated(photons: float, share: float) -> None:
    air = torch.full((400_000,), -1000.0)
    noisy = poisson_ct(air, 1.0, photons=photons, generator=seeded())
    assert float(noisy.std() / ct_sigma(-1000.0, 1.0, photons=photons)) == pytest.approx(
        share, abs=0.01
    )


def test_ct_sigma_of_an_image_and_of_a_number() -> None:
    image = torch.tensor([[0.0, 1000.0]])
    sigma = ct_sigma(image, 1.0)
    assert sigma.shape == (1, 2)
    assert float(ct_sigma(0, 1.0)) == pytest.approx(float(sigma[0, 0]))
    # Twice the attenuation: exp(-p) falls by exp(-3.84).
    assert float(sigma[0, 1] / sigma[0, 0]) == pytest.approx(math.exp(3.84 / 2), rel=1e-4)


def test_no_photons_left_stays_finite_and_air_below_minus_1000_keeps_its_value() -> None:
    hu = torch.tensor([3000.0, -3024.0]).repeat(50_000)
    noisy = poisson_ct(hu, 0.01, generator=seeded()).reshape(-1, 2)
    assert torch.isfinite(noisy).all()
    assert noisy[:, 1].mean() == pytest.approx(-3024, abs=0.5)
    assert noisy[:, 1].std() == pytest.approx(float(ct_sigma(-1000.0, 0.01)), rel=0.02)


def test_voxels_that_are_not_finite_do_not_spread() -> None:
    noisy = poisson_ct(torch.tensor([0.0, float("nan"), 10.0]), 1.0, generator=seeded())
    assert noisy.isfinite().tolist() == [True, False, True]


def test_seeded_untouched_and_dose_per_sample() -> None:
    hu = torch.zeros(2, 1, 40, 40, 40)
    dose = torch.tensor([1.0, 0.1]).reshape(2, 1, 1, 1, 1)
    once, again = (poisson_ct(hu, dose, generator=seeded(2)) for _ in range(2))
    assert torch.equal(once, again)
    assert not hu.any()
    assert once[1].std() / once[0].std() == pytest.approx(math.sqrt(10), rel=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dose": 0.0}, r"dose is 0.*above 0 and at most 1.*fraction"),
        ({"dose": 1.5}, r"dose is 1\.5.*at most 1"),
        ({"dose": float("nan")}, "dose is nan"),
        ({"dose": 1.0, "photons": 0.0}, "photons is 0.*above 0.*photons per ray"),
        ({"dose": 1.0, "path_mm": -3.0}, r"path_mm is -3.*\(mm\)"),
        ({"dose": 1.0, "mu_water": math.inf}, r"mu_water is inf.*1/mm"),
        ({"dose": "half"}, "dose is 'half'.*number"),
    ],
)
def test_impossible_parameters(arguments: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        poisson_ct(torch.zeros(3), **arguments)
