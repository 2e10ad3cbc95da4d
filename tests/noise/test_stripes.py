from __future__ import annotations

import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import stripes


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_constant_along_the_axis_and_independent_across(axis: int) -> None:
    y = stripes(torch.full((60, 70, 80), 5.0), 3.0, axis=axis, generator=seeded()) - 5.0
    lines = y.select(axis, 0)
    assert float((y - lines.unsqueeze(axis)).abs().max()) == 0
    assert lines.std() == pytest.approx(3.0, rel=0.06)
    for across in (0, 1):
        alike = (lines * lines.roll(1, across)).mean() / lines.var()
        assert float(alike) == pytest.approx(0, abs=0.07)


def test_the_fraction_of_lines_that_is_hit() -> None:
    y = stripes(torch.zeros(4, 200, 300), 2.0, density=0.2, generator=seeded())[0]
    assert float((y != 0).double().mean()) == pytest.approx(0.2, abs=0.01)
    assert y[y != 0].std() == pytest.approx(2.0, rel=0.03)
    assert not stripes(torch.zeros(4, 20, 30), 2.0, density=0.0).any()


def test_seeded_untouched_and_a_level_and_stripes_per_sample() -> None:
    x = torch.zeros(2, 1, 4, 4000)
    sigma = torch.tensor([1.0, 5.0]).reshape(2, 1, 1, 1)
    once, again = (stripes(x, sigma, generator=seeded(4)) for _ in range(2))
    assert torch.equal(once, again)
    assert not x.any()
    assert once.std(dim=(1, 2, 3)).tolist() == pytest.approx([1, 5], rel=0.05)
    assert not torch.allclose(5 * once[0], once[1])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"sigma": -1.0}, r"sigma is -1.*at least 0"),
        ({"axis": 2}, r"axis is 2.*0 to 1"),
        ({"axis": -1}, r"axis is -1.*at least 0"),
        ({"density": 1.5}, r"density is 1\.5.*at most 1 \(fraction of the lines\)"),
    ],
)
def test_impossible_parameters(arguments: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        stripes(torch.ones(4, 5), **{"sigma": 1.0, **arguments})
