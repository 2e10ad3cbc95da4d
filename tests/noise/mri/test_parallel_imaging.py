from __future__ import annotations

import numpy as np
import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import build_noise, parallel_imaging, rician
from meddenoise.noise.mri import g_factor


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_sigma_is_s0_g_sqrt_r_everywhere() -> None:
    g = torch.tensor([[1.0, 1.2], [1.7, 2.5]])
    x = torch.full((100_000, 1, 2, 2), 1000.0)  # so bright that the noise is Gaussian
    noisy = parallel_imaging(x, 2.0, acceleration=3.0, g_map=g, generator=seeded())
    torch.testing.assert_close(noisy.std(dim=0)[0], 2 * 3**0.5 * g, rtol=0.01, atol=0)


def test_the_background_is_rayleigh_of_that_sigma() -> None:
    noisy = parallel_imaging(torch.zeros(400, 400), 2.0, acceleration=4.0, g_max=1.0)
    assert noisy.square().mean() == pytest.approx(2 * (2 * 2) ** 2, rel=0.02)


def test_the_model_map_is_1_at_the_border_and_largest_in_the_middle() -> None:
    g = g_factor((101, 81), 2.2)
    assert float(g.max()) == pytest.approx(2.2) == float(g[50, 40])
    assert float(g[0].max()) < 1.001
    assert float(g[:, 0].max()) < 1.001
    assert float((g[1:] - g[:-1]).abs().max()) < 0.05
    assert g_factor((8, 9, 5)).shape == (8, 9, 1)
    assert torch.equal(g_factor((8, 9), 1.0), torch.ones(8, 9))


def test_one_fold_without_g_is_rician() -> None:
    x = torch.linspace(0, 9, 120).reshape(10, 12)
    plain = parallel_imaging(x, 1.0, acceleration=1.0, g_max=1.0, generator=seeded(4))
    assert torch.equal(plain, rician(x, 1.0, generator=seeded(4)))


def test_acceleration_and_level_may_be_ranges_and_maps_arrays() -> None:
    x = torch.full((2, 1, 60, 60), 1000.0)
    options = {"sigma": [1, 3], "acceleration": [1, 9], "g_map": np.ones((60, 1))}
    places = [torch.tensor([0.0, 0.5]), torch.tensor([0.0, 0.375])]
    noisy = build_noise("parallel_imaging", **options).apply(
        x, reference=1.0, generator=seeded(), u=places
    )
    assert noisy.std(dim=(1, 2, 3)).tolist() == pytest.approx([1, 4], rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"sigma": -1.0}, r"sigma is -1.*at least 0"),
        ({"acceleration": 0.5}, r"acceleration is 0\.5.*at least 1 \(times fewer lines\)"),
        ({"g_max": 0.9}, r"g_max is 0\.9.*at least 1 \(g-factor"),
        ({"g_map": torch.zeros(4, 5)}, r"g_map has values from 0 to 0.*above 0"),
        ({"g_map": torch.ones(3, 5)}, r"g_map has shape \(3, 5\).*does not broadcast"),
        ({"g_map": "map"}, r"g_map must be a map on the image's grid"),
    ],
)
def test_impossible_parameters(arguments: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        parallel_imaging(torch.ones(4, 5), **{"sigma": 1.0, **arguments})
