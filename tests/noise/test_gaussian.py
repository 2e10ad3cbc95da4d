from __future__ import annotations

import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import gaussian


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_moments_are_those_of_the_formula() -> None:
    x = torch.full((1_000_000,), 40.0)
    y = gaussian(x, 5.0, generator=seeded())
    # Standard error of the mean 0.005, of the standard deviation 0.0035.
    assert y.mean() == pytest.approx(40.0, abs=0.025)
    assert y.std() == pytest.approx(5.0, abs=0.018)
    assert ((y - 40) / 5).pow(4).mean() == pytest.approx(3.0, abs=0.05)


def test_neighbours_are_independent() -> None:
    n = gaussian(torch.zeros(1000, 1000), 1.0, generator=seeded())
    assert abs((n[1:] * n[:-1]).mean()) < 5e-3
    assert abs((n[:, 1:] * n[:, :-1]).mean()) < 5e-3


def test_same_generator_state_same_noise_and_input_untouched() -> None:
    x = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    before = x.clone()
    once, again = (gaussian(x, 0.1, generator=seeded(3)) for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, gaussian(x, 0.1, generator=seeded(4)))
    assert torch.equal(x, before)


def test_one_level_for_each_sample() -> None:
    x = torch.zeros(3, 1, 40, 40, 40)
    y = gaussian(x, torch.tensor([0.0, 1.0, 7.0]).reshape(3, 1, 1, 1, 1), generator=seeded())
    assert torch.equal(y[0], x[0])
    assert y[1].std() == pytest.approx(1.0, rel=0.02)
    assert y[2].std() == pytest.approx(7.0, rel=0.02)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_type_is_kept(dtype: torch.dtype) -> None:
    y = gaussian(torch.zeros(10_000, dtype=dtype), 2.0, generator=seeded())
    assert y.dtype == dtype
    assert y.double().std() == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize("sigma", [-1.0, float("nan"), float("inf"), torch.tensor(-0.5)])
def test_impossible_sigma_names_parameter_unit_and_range(sigma: float) -> None:
    with pytest.raises(ParameterError, match=r"sigma .*at least 0.*image units"):
        gaussian(torch.zeros(4), sigma)


def test_levels_that_do_not_broadcast() -> None:
    with pytest.raises(ParameterError, match=r"sigma has shape \(3,\).*\(2, 1, 4, 4\)"):
        gaussian(torch.zeros(2, 1, 4, 4), torch.ones(3))


def test_a_level_may_not_enlarge_the_image() -> None:
    with pytest.raises(ParameterError, match="does not broadcast"):
        gaussian(torch.zeros(1, 4), torch.ones(2, 1))


def test_whole_numbers_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"torch\.int16"):
        gaussian(torch.zeros(4, dtype=torch.int16), 1.0)


def test_complex_data_get_noise_in_both_channels() -> None:
    x = torch.full((400_000,), 3 - 4j)
    y = gaussian(x, 2.0, generator=seeded())
    assert y.dtype == x.dtype
    noise = y - x
    assert noise.real.std() == pytest.approx(2.0, rel=0.01)
    assert noise.imag.std() == pytest.approx(2.0, rel=0.01)
    assert float((noise.real * noise.imag).mean()) == pytest.approx(0, abs=0.05)
