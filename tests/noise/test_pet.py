from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import build_noise, pet


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_mean_and_variance_in_counts() -> None:
    # alpha = 40 counts / 8 units; a background of 1.5 units is counted, too.
    signals, count = np.array([0.0, 0.4, 8.0, 60.0]), 200_000
    x = torch.from_numpy(signals)[:, None].expand(-1, count)
    y = pet(x, counts=40.0, reference=8.0, background=1.5, generator=seeded())
    counts = 5.0 * (y + 1.5)
    torch.testing.assert_close(counts, counts.round(), atol=1e-9, rtol=0)
    expected = 5.0 * (signals + 1.5)
    np.testing.assert_allclose(counts.var(dim=1), expected, rtol=0.02)
    error = counts.mean(dim=1).numpy() - expected
    assert (np.abs(error) < 5 * np.sqrt(expected / count)).all()


def test_the_counts_are_those_of_the_reference_intensity() -> None:
    x = torch.full((200_000,), 3e4)  # Bq/ml
    y = build_noise("pet", counts=25).apply(x, reference=3e4, generator=seeded())
    assert float((y / 3e4).std()) == pytest.approx(1 / 5, rel=0.01)


def test_where_nothing_is_counted_the_image_stays() -> None:
    x = torch.tensor([-2.0, 0.0, math.nan])
    y = pet(x, generator=seeded())
    assert y[:2].tolist() == [-2, 0]
    assert math.isnan(y[2])


def test_seeded_untouched_and_per_sample() -> None:
    x = torch.ones(2, 1, 100, 100)
    counts = torch.tensor([4.0, 100.0]).reshape(2, 1, 1, 1)
    once, again = (pet(x, counts=counts, generator=seeded(4)) for _ in range(2))
    assert torch.equal(once, again)
    assert torch.equal(x, torch.ones_like(x))
    assert once.std(dim=(1, 2, 3)).tolist() == pytest.approx([0.5, 0.1], rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"counts": 0.0}, r"counts is 0.*above 0 \(counts at the reference intensity\)"),
        ({"background": -1.0}, r"background is -1.*at least 0 \(image units\)"),
        ({"reference": -1.0}, r"reference .*99.9th percentile\) is -1.*above 0 \(image units\)"),
    ],
)
def test_impossible_parameters(arguments: dict, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        pet(torch.ones(3), **arguments)
