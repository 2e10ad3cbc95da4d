from __future__ import annotations

import numpy as np
import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import build_noise, speckle


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
def test_the_deviation_is_a_power_of_the_signal(exponent: float) -> None:
    signals, count = np.array([0.5, 4.0, 25.0]), 200_000
    x = torch.from_numpy(signals)[:, None].expand(-1, count)
    y = speckle(x, 0.3, exponent=exponent, generator=seeded())
    deviation = 0.3 * signals**exponent
    np.testing.assert_allclose(y.std(dim=1), deviation, rtol=0.01)
    assert (np.abs(y.mean(dim=1).numpy() - signals) < 5 * deviation / count**0.5).all()


def test_sigma_is_the_deviation_at_the_reference() -> None:
    x = torch.tensor([800.0, 200.0])[:, None].expand(-1, 200_000)
    model = build_noise("speckle", sigma="10%", exponent=0.5)
    y = model.apply(x, reference=800.0, generator=seeded())
    assert y.std(dim=1).tolist() == pytest.approx([80, 40], rel=0.01)


def test_without_a_signal_there_is_no_speckle() -> None:
    x = torch.tensor([0.0, -3.0])
    for exponent in (0.0, 0.5, 1.0):
        assert torch.equal(speckle(x, 1.0, exponent=exponent), x)


def test_seeded_untouched_and_per_sample() -> None:
    x = torch.ones(2, 1, 100, 100)
    sigma = torch.tensor([0.1, 0.4]).reshape(2, 1, 1, 1)
    once, again = (speckle(x, sigma, generator=seeded(4)) for _ in range(2))
    assert torch.equal(once, again)
    assert torch.equal(x, torch.ones_like(x))
    assert once.std(dim=(1, 2, 3)).tolist() == pytest.approx([0.1, 0.4], rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"sigma": -1.0}, r"sigma is -1.*at least 0"),
        ({"exponent": 3.0}, r"exponent is 3.*at most 2 \(power of the intensity\)"),
        ({"reference": 0.0}, r"reference is 0.*above 0 \(image units\)"),
    ],
)
def test_impossible_parameters(arguments: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        speckle(torch.ones(3), **{"sigma": 1.0, **arguments})
