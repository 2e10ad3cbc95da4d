"""Gradients in bf16 beside those in float32, where the first axis is short."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from meddenoise.training.exact_gradients import exact_gradients


def dirty() -> None:
    """Leave memory that holds no numbers for whoever asks next."""
    sizes = [2**power for power in range(6, 20)]
    del [torch.full((size,), float("nan")) for size in sizes for _ in range(4)][:]


def gradient(layer: nn.Module, x: Tensor, dtype: torch.dtype) -> Tensor:
    layer.zero_grad()
    dirty()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        out = layer(x)
    out.float().square().mean().backward()
    assert isinstance(layer.weight.grad, Tensor)
    return layer.weight.grad.clone()


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv3d(16, 32, 3, padding=1),
        nn.Conv3d(16, 32, 3, padding="same"),
        nn.Conv3d(16, 16, 3, padding=1, groups=16),
        nn.Conv3d(16, 32, 5, padding=2),
        nn.Conv3d(16, 32, 7, padding=3),
        nn.ConvTranspose3d(16, 32, 3, padding=1),
    ],
    ids=lambda layer: f"{type(layer).__name__} {layer.kernel_size[0]} {layer.padding}",
)
def test_the_gradient_is_that_of_float32(layer: nn.Module, depth: int) -> None:
    torch.manual_seed(0)
    layer = layer.to(memory_format=torch.channels_last_3d)
    x = torch.randn(1, 16, depth, 6, 6)
    expected = gradient(layer, x, torch.float32)
    with exact_gradients(layer, torch.device("cpu")):
        for _ in range(4):
            found = gradient(layer, x, torch.bfloat16)
            assert float((found - expected).norm() / expected.norm()) < 0.03


def test_nothing_is_left_behind_and_long_axes_stay_in_bf16() -> None:
    network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1))
    with exact_gradients(network, torch.device("cpu")), torch.autocast("cpu", torch.bfloat16):
        assert network(torch.zeros(1, 1, 2, 4, 4)).dtype == torch.float32
        assert network(torch.zeros(1, 1, 4, 4, 4)).dtype == torch.bfloat16
        assert torch.is_autocast_enabled("cpu")
        with pytest.raises(RuntimeError):
            network(torch.zeros(1, 3, 2, 4, 4))  # too many channels
        assert torch.is_autocast_enabled("cpu")
    with torch.autocast("cpu", torch.bfloat16):
        assert network(torch.zeros(1, 1, 2, 4, 4)).dtype == torch.bfloat16


def test_on_a_gpu_nothing_is_done() -> None:
    network = nn.Conv3d(1, 1, 3, padding=1)
    with exact_gradients(network, torch.device("cuda")):
        assert not network._forward_pre_hooks
