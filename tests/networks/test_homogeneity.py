"""Networks whose result grows with the scan: twice the intensities and noise, twice the result."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from meddenoise.networks import build_network, with_noise_map

HOMOGENEOUS = [
    ("drunet", {"channels": [3, 4], "blocks": 1}),
    ("drunet", {"channels": [3, 4], "blocks": 1, "residual": True}),
    ("nafnet", {"channels": [3, 4], "blocks": 2}),
    ("nafnet", {"channels": [3, 4], "blocks": 1, "residual": False}),
    ("unet", {"channels": [3, 4], "bias": False}),
    ("light", {"channels": [3, 4], "bias": False}),
]
NOT = [
    ("drunet", {"channels": [3, 4], "blocks": 1, "bias": True}),
    ("unet", {"channels": [3, 4]}),
    ("light", {"channels": [3, 4]}),
]


def departure(name: str, options: dict[str, Any], dims: int, gain: float) -> float:
    """How far f(gain x) is from gain f(x), as a share of it, with random weights."""
    torch.manual_seed(0)
    network: nn.Module = build_network(name, dims=dims, inputs=2, **options).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
        image = torch.randn(2, 1, *(9, 7, 6)[:dims], dtype=torch.float64)
        level = torch.rand(2, dtype=torch.float64)
        once = network(with_noise_map(image, level))
        again = network(with_noise_map(gain * image, gain * level))
    return float((again - gain * once).norm() / (gain * once).norm())


@pytest.mark.parametrize(("name", "options"), HOMOGENEOUS)
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("gain", [1e-3, 7.0, 1e4])
def test_without_bias_the_result_grows_with_the_image(
    name: str, options: dict[str, Any], dims: int, gain: float
) -> None:
    assert departure(name, options, dims, gain) < 1e-5


@pytest.mark.parametrize(("name", "options"), NOT)
def test_with_bias_it_does_not(name: str, options: dict[str, Any]) -> None:
    """The test above can fail."""
    assert departure(name, options, 2, 7.0) > 1e-2
