from __future__ import annotations

import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import build_noise, salt_and_pepper


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_fractions() -> None:
    x = torch.full((1_000_000,), 40.0)
    y = salt_and_pepper(x, 0.1, salt_share=0.3, pepper=-1000.0, reference=700.0, generator=seeded())
    salt, pepper = ((y == value).double().mean() for value in (700.0, -1000.0))
    # Five standard errors of a count.
    assert float(salt) == pytest.approx(0.03, abs=5 * (0.03 / 1e6) ** 0.5)
    assert float(pepper) == pytest.approx(0.07, abs=5 * (0.07 / 1e6) ** 0.5)
    assert float((y == 40).double().mean()) == pytest.approx(float(1 - salt - pepper), abs=1e-9)


def test_salt_is_the_reference_of_the_image() -> None:
    y = build_noise("salt_and_pepper", density="100%", salt_share=1.0).apply(
        torch.zeros(10), reference=55.0, generator=seeded()
    )
    assert torch.equal(y, torch.full((10,), 55.0))
    y = build_noise("salt_and_pepper", density=1, salt_share=0.0, pepper=-1024.0).apply(
        torch.zeros(10), reference=55.0, generator=seeded()
    )
    assert torch.equal(y, torch.full((10,), -1024.0))


def test_seeded_untouched_and_per_sample() -> None:
    x = torch.full((2, 1, 100, 100), 0.5)
    density = torch.tensor([0.1, 0.6]).reshape(2, 1, 1, 1)
    once, again = (salt_and_pepper(x, density, generator=seeded(4)) for _ in range(2))
    assert torch.equal(once, again)
    assert torch.equal(x, torch.full_like(x, 0.5))
    hit = (once != 0.5).double().mean(dim=(1, 2, 3))
    assert hit.tolist() == pytest.approx([0.1, 0.6], abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"density": 0.0}, r"density is 0.*above 0 and at most 1 \(fraction of the voxels\)"),
        ({"density": 1.5}, r"density is 1\.5.*at most 1"),
        ({"salt_share": -0.5}, r"salt_share is -0\.5.*at least 0 and at most 1 \(fraction of hits"),
        ({"pepper": float("nan")}, r"pepper is nan: it must be finite \(image units\)"),
    ],
)
def test_impossible_parameters(arguments: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        salt_and_pepper(torch.ones(3), **{"density": 0.5, **arguments})
