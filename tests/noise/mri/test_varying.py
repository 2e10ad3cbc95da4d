from __future__ import annotations

import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import rician, varying
from meddenoise.noise.mri import smooth_field


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_given_map_is_the_sigma_everywhere() -> None:
    sigma_map = torch.tensor([[0.5, 1.0], [2.0, 5.0]])
    x = torch.full((100_000, 1, 2, 2), 1000.0)
    for distribution in ("gaussian", "rician"):
        noisy = varying(x, 3.0, sigma_map=sigma_map, distribution=distribution, generator=seeded())
        torch.testing.assert_close(noisy.std(dim=0)[0], 3 * sigma_map, rtol=0.01, atol=0)


def test_a_random_map_spans_the_variation() -> None:
    # The field is drawn first: the same generator gives it again.
    field = smooth_field(torch.zeros(40, 50), seeded(3))
    assert (float(field.min()), float(field.max())) == pytest.approx((0, 1))
    m = 4.0 ** (field - 0.5)
    assert float(m.max() / m.min()) == pytest.approx(4)
    generator = seeded(3)
    noisy = varying(torch.zeros(40, 50), 2.0, variation=4.0, generator=generator)
    generator.manual_seed(3)
    smooth_field(torch.zeros(40, 50), generator)
    torch.testing.assert_close(noisy, rician(torch.zeros(40, 50), 2 * m, generator=generator))


@pytest.mark.parametrize("shape", [(30, 40), (20, 30, 10)])
def test_fields_are_smooth_and_every_sample_has_its_own(shape: tuple[int, ...]) -> None:
    field = smooth_field(torch.zeros(3, 2, *shape), seeded())
    assert field.shape == (3, 1, *shape)
    for axis in range(2, field.ndim):
        assert float(field.diff(dim=axis).abs().max()) <= 3 / (field.shape[axis] - 1) + 1e-5
    assert float((field[0] - field[1]).abs().mean()) > 0.05
    assert field.amax(dim=tuple(range(1, field.ndim))).tolist() == pytest.approx([1, 1, 1])


def test_seeded_and_without_variation_it_is_rician() -> None:
    x = torch.linspace(0, 9, 120).reshape(10, 12)
    once, again = (varying(x, 1.0, generator=seeded(6)) for _ in range(2))
    assert torch.equal(once, again)
    generator = seeded(6)
    smooth_field(x, generator)
    plain = rician(x, 1.0, generator=generator)
    torch.testing.assert_close(varying(x, 1.0, variation=1.0, generator=seeded(6)), plain)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"sigma": -1.0}, r"sigma is -1.*at least 0"),
        ({"variation": 0.5}, r"variation is 0\.5.*at least 1 \(largest by smallest sigma\)"),
        ({"sigma_map": -torch.ones(4, 5)}, r"sigma_map has values from -1 to -1.*at least 0"),
        ({"sigma_map": torch.ones(3, 5)}, r"sigma_map has shape \(3, 5\)"),
        ({"distribution": "normal"}, r"distribution is 'normal'"),
    ],
)
def test_impossible_parameters(arguments: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        varying(torch.ones(4, 5), **{"sigma": 1.0, **arguments})
