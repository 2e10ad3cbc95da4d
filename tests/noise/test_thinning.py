from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import build_noise, simulate, thinning
from meddenoise.volume import Volume


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("dose", [0.1, 0.5, 0.9])
def test_thinned_poisson_counts_are_poisson(dose: float) -> None:
    means, count = torch.tensor([0.5, 6.0, 80.0], dtype=torch.float64), 200_000
    scan = torch.poisson(means[:, None].expand(-1, count), generator=seeded())
    kept = thinning(scan, dose, rescale=False, generator=seeded(1))
    assert torch.equal(kept, kept.round())
    assert bool((kept <= scan).all())
    expected = (dose * means).numpy()
    assert (np.abs(kept.mean(dim=1).numpy() - expected) < 5 * np.sqrt(expected / count)).all()
    np.testing.assert_allclose(kept.var(dim=1), expected, rtol=0.02)


def test_the_counts_of_one_scan_are_thinned_binomially() -> None:
    kept = thinning(torch.full((200_000,), 50.0), 0.3, rescale=False, generator=seeded())
    assert kept.mean() == pytest.approx(15, abs=0.04)
    assert kept.var() == pytest.approx(50 * 0.3 * 0.7, rel=0.02)


@pytest.mark.parametrize(
    ("counts", "dtype"),
    [
        (2.0**24, torch.float32),
        (1e8, torch.float32),
        # More than that noise is rounded away in single precision.
        (1e10, torch.float32),
        (1e13, torch.float64),
        (1e15, torch.float64),
    ],
)
def test_very_many_counts_are_thinned_binomially(counts: float, dtype: torch.dtype) -> None:
    scan = torch.full((100_000,), counts, dtype=dtype)
    kept = thinning(scan, 0.25, rescale=False, generator=seeded()).double()
    spread = (counts * 0.25 * 0.75) ** 0.5
    assert kept.std() == pytest.approx(spread, rel=0.02)
    assert kept.mean() == pytest.approx(counts * 0.25, abs=0.05 * spread)
    whole = thinning(scan, 1.0, rescale=False, generator=seeded())
    torch.testing.assert_close(whole, scan, rtol=0, atol=0)


def test_few_counts_beside_very_many_are_thinned_alike() -> None:
    scan = torch.tensor([50.0, 1e18], dtype=torch.float64).repeat(100_000, 1)
    kept = thinning(scan, 0.3, rescale=False, generator=seeded())
    assert kept[:, 0].var() == pytest.approx(50 * 0.3 * 0.7, rel=0.02)
    assert kept[:, 1].std() == pytest.approx((1e18 * 0.3 * 0.7) ** 0.5, rel=0.02)
    assert bool((kept <= scan).all())


def test_rescaled_to_the_scan_s_own_units() -> None:
    x = torch.full((200_000,), 2.5)  # 50 counts
    y = thinning(x, 0.25, counts_per_unit=20.0, generator=seeded())
    assert y.mean() == pytest.approx(2.5, rel=0.005)
    assert y.var() == pytest.approx(50 * 0.25 * 0.75 / (20 * 0.25) ** 2, rel=0.02)


def test_all_counts_are_kept_at_full_dose_and_what_is_not_finite_stays() -> None:
    x = torch.tensor([0.0, 3.0, math.nan, 7000.0])
    torch.testing.assert_close(thinning(x, 1.0), x, equal_nan=True)


def test_seeded_untouched_per_sample_and_of_a_volume() -> None:
    x = torch.full((2, 1, 100, 100), 40.0)
    dose = torch.tensor([0.5, 0.1]).reshape(2, 1, 1, 1)
    once, again = (thinning(x, dose, rescale=False, generator=seeded(4)) for _ in range(2))
    assert torch.equal(once, again)
    assert torch.equal(x, torch.full_like(x, 40.0))
    assert once.mean(dim=(1, 2, 3)).tolist() == pytest.approx([20, 4], rel=0.02)
    array = np.full((1, 20, 20, 20), 30.0)
    array[0, 0] = np.nan  # the voxels beside it still hold counts
    noisy = simulate(Volume(array, np.eye(4)), build_noise("thinning", dose="50%"))
    assert np.isnan(noisy.array[0, 0]).all()
    assert noisy.array[0, 1:].mean() == pytest.approx(30, rel=0.02)


@pytest.mark.parametrize(
    ("image", "arguments", "told"),
    [
        ([1.0], {"dose": 0.0}, r"dose is 0.*above 0 and at most 1 \(fraction of the counts\)"),
        ([1.0], {"dose": 1.5}, r"dose is 1\.5.*at most 1"),
        ([1.0], {"dose": 0.5, "counts_per_unit": 0.0}, r"counts_per_unit is 0.*above 0 \(counts\)"),
        ([0.5], {"dose": 0.5}, r"whole numbers of at least 0.*counts_per_unit.*'pet'"),
        ([-1.0], {"dose": 0.5}, r"whole numbers of at least 0"),
    ],
)
def test_impossible_parameters(image: list[float], arguments: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        thinning(torch.tensor(image), **arguments)
