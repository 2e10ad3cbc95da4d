from __future__ import annotations

import numpy as np
import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import rings


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def radii(nx: int, ny: int) -> np.ndarray:
    x, y = np.arange(nx) - (nx - 1) / 2, np.arange(ny) - (ny - 1) / 2
    return np.hypot(x[:, None], y)


def test_one_value_for_each_radius_in_each_slice() -> None:
    y = rings(torch.full((41, 51, 3), 7.0), 2.0, width=2.0, generator=seeded()).numpy() - 7.0
    ring = (radii(41, 51) / 2).astype(int)
    for number in range(ring.max() + 1):
        values = y[ring == number]
        assert np.ptp(values, axis=0).max() < 1e-6
    outline = y[20, :26]
    assert np.unique(outline[:, 0]).size == 13
    assert not np.allclose(outline[:, 0], outline[:, 1])


def test_the_level_is_that_of_the_rings() -> None:
    y = rings(torch.zeros(9, 11, 50_000), 3.0, generator=seeded())
    torch.testing.assert_close(y.std(dim=2), torch.full((9, 11), 3.0), rtol=0.02, atol=0)
    alike = (y[4, 5] * y[4, 7]).mean() / 9
    assert float(alike) == pytest.approx(0, abs=0.02)


def test_the_fraction_of_rings() -> None:
    y = rings(torch.zeros(9, 11, 20_000), 1.0, density=0.3, generator=seeded())
    assert float((y[4, 5] != 0).double().mean()) == pytest.approx(0.3, abs=0.02)


def test_seeded_untouched_per_sample_and_in_two_dimensions() -> None:
    x = torch.zeros(2, 1, 64, 64)
    sigma = torch.tensor([1.0, 5.0]).reshape(2, 1, 1, 1)
    once, again = (rings(x, sigma, generator=seeded(4)) for _ in range(2))
    assert torch.equal(once, again)
    assert not x.any()
    assert not torch.allclose(5 * once[0], once[1])
    assert float((once[0] - once[0].flip(1)).abs().max()) == 0
    assert rings(torch.zeros(6, 7), 1.0, generator=seeded()).shape == (6, 7)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"sigma": -1.0}, r"sigma is -1.*at least 0"),
        ({"width": 0.0}, r"width is 0.*above 0 \(voxels\)"),
        ({"density": -0.5}, r"density is -0\.5.*at least 0 and at most 1 \(fraction of the rings"),
    ],
)
def test_impossible_parameters(arguments: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        rings(torch.ones(4, 5), **{"sigma": 1.0, **arguments})


@pytest.mark.parametrize("width", [1e-12, 1e-30])
def test_rings_between_the_voxels_need_no_memory(width: float) -> None:
    noisy = rings(torch.zeros(6, 7), 1.0, width=width, generator=seeded())
    assert bool(noisy.isfinite().all())
    assert torch.equal(noisy, noisy.flip(0))
    assert float(noisy.std()) > 0.1
