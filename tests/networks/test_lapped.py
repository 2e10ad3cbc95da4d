"""Shrinkage that is a denoiser before it has learnt anything."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from meddenoise.networks import build_network


def smooth(dims: int, height: float) -> Tensor:
    """A wave, with an edge across it."""
    axes = [torch.linspace(0, 3, 32)] * dims
    wave = torch.stack(torch.meshgrid(*axes, indexing="ij")).sum(0).sin() * 4
    wave[16:] += height
    return wave[None, None]


def untrained(dims: int) -> nn.Module:
    torch.manual_seed(0)
    return build_network("lapped", dims=dims, channels=[4, 4]).eval()


@pytest.mark.parametrize("dims", [2, 3])
def test_untrained_it_takes_most_of_the_noise_away(dims: int) -> None:
    clean = smooth(dims, 10)
    noisy = clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        left = (untrained(dims)(noisy) - clean).square().mean()
    assert left < 0.3


@pytest.mark.parametrize("dims", [2, 3])
def test_edges_of_any_height_pass(dims: int) -> None:
    clean = smooth(dims, 3000)
    with torch.no_grad():
        change = (untrained(dims)(clean) - clean).abs().max()
    assert change < 1


@pytest.mark.parametrize("dims", [2, 3])
def test_the_zero_of_the_intensities_does_not_matter(dims: int) -> None:
    # In double precision: a coefficient at the threshold falls to either side by a rounding.
    network = untrained(dims).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
        image = torch.randn(1, 1, *[16] * dims, dtype=torch.float64) * 3
        assert torch.allclose(network(image + 50) - 50, network(image), atol=1e-3)


def test_it_learns() -> None:
    """Every part of what the U-Net says changes the result."""
    network = untrained(3)
    network.train()
    loss = (network(torch.randn(1, 1, 16, 16, 16)) - 1).square().mean()
    loss.backward()
    count = network.blocks.coefficients
    gradient = network.body.out.bias.grad
    assert all(float(part.abs().max()) > 0 for part in gradient.split([count, count, 1]))


@pytest.mark.parametrize("dims", [2, 3])
def test_rows_at_a_time_or_all_at_once(dims: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # In double precision: a coefficient at the threshold falls to either side by a rounding.
    network = untrained(dims).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    image = torch.randn(2, 1, *[36, 24, 20][:dims], dtype=torch.float64) * 3
    whole = network(image)  # with gradients, for which all is kept
    for row_count in (1, 5, 7):
        row = 2 * math.prod(n // 2 for n in image.shape[3:]) * network.blocks.coefficients
        monkeypatch.setattr("meddenoise.networks.lapped._CACHED", row_count * row)
        monkeypatch.setattr("meddenoise.networks.lapped._FEWEST", 1)
        with torch.no_grad():
            assert torch.allclose(network(image), whole, atol=1e-12)


def test_rows_at_a_time_are_as_exact_as_all_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """What surrounds the U-Net is computed in float32 both times."""
    network = untrained(3)
    image = smooth(3, 100)
    seen: list[Tensor] = []
    network.body.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = network(image)
        monkeypatch.setattr("meddenoise.networks.lapped._rows_at_a_time", lambda *_: 16)
        assert torch.allclose(found, network(image), atol=1e-2)
    parts, whole = (each.float() for each in seen)
    assert seen[0].dtype == torch.bfloat16
    assert torch.allclose(parts, whole, rtol=0.01, atol=0.01)
