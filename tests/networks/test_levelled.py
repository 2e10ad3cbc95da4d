"""A result that follows the scan's gain and its zero."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from meddenoise.errors import ConfigError
from meddenoise.networks import build_network


def drawn(name: str, dims: int, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    network = build_network(name, dims=dims, channels=[3, 4], **options).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    return network


def departure(name: str, dims: int, gain: float, shift: float, **options: Any) -> float:
    network = drawn(name, dims, **options)
    image = torch.randn(2, 1, *(13, 12, 10)[:dims])
    with torch.no_grad():
        change = network(image) - image
        other = (network(gain * image + shift) - shift) / gain - image
    return float((other - change).norm() / change.norm())


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("gain", "shift"), [(1, 100), (1e-2, -3), (50, 0), (3, 1000)])
def test_neither_gain_nor_zero_matter(dims: int, gain: float, shift: float) -> None:
    assert departure("levelled", dims, gain, shift) < 1e-3


def test_to_a_plain_network_they_do() -> None:
    """The test above can fail."""
    assert departure("unet", 2, 1, 100) > 1


@pytest.mark.parametrize("dims", [2, 3])
def test_with_a_knee_the_zero_does_not_matter_but_the_gain_does(dims: int) -> None:
    assert departure("levelled", dims, 1, 300, knee=3.0) < 1e-3
    assert departure("levelled", dims, 50, 0, knee=3.0) > 0.1


def test_edges_are_compressed() -> None:
    """What the network takes away does not grow with an edge without limit."""
    network = drawn("levelled", 2, knee=3.0)
    step = torch.zeros(1, 1, 16, 16)
    step[..., 8:] = 1
    with torch.no_grad():
        small, large = (float((network(a * step) - a * step).abs().max()) for a in (30, 3000))
    assert large < 30 * small  # and not 100


def test_a_knee_below_0() -> None:
    with pytest.raises(ConfigError, match="at least 0"):
        build_network("levelled", dims=2, knee=-1.0)


def test_it_begins_as_the_identity() -> None:
    image = torch.randn(1, 1, 9, 9, 9)
    assert torch.equal(build_network("levelled", dims=3)(image), image)


def test_in_bfloat16_a_bright_image_is_as_exact_as_a_dark_one() -> None:
    network, image = drawn("levelled", 3), torch.randn(1, 1, 12, 12, 12)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        dark, bright = network(image), network(image + 500) - 500
    assert float((dark - bright).abs().max()) < 0.05 * float(dark.std())
