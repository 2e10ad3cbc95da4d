"""What every registered network promises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from meddenoise.errors import ConfigError
from meddenoise.networks import build_network, network_names
from meddenoise.networks.registry import NETWORKS, register_network

SMALL: dict[str, dict[str, Any]] = {
    "unet": {"channels": [3, 4, 5], "residual": True},
    "dncnn": {"depth": 4, "width": 3},
}
CASES = [
    ("unet", 2, {"channels": [4]}),
    ("unet", 2, {"channels": [3, 4, 5]}),
    ("unet", 2, {"channels": [3, 4, 5], "residual": True}),
    ("unet", 3, {"channels": [2, 3]}),
    ("unet", 3, {"channels": [2, 3], "strides": [[2, 2, 1]]}),
    ("unet", 2, {"channels": [3, 4], "strides": [3]}),
    ("unet", 2, {"channels": [3, 3, 3], "strides": [[1, 2], [4, 1]]}),
    ("dncnn", 2, {"depth": 2, "width": 3}),
    ("dncnn", 3, {"depth": 4, "width": 3}),
]


def stirred(name: str, dims: int, options: dict[str, Any]) -> nn.Module:
    """A network with all weights random, also those that start at zero."""
    torch.manual_seed(0)
    network = build_network(name, dims=dims, **options).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    return network


def test_every_network_is_tested_here() -> None:
    ours = {n for n in network_names() if NETWORKS.get(n).__module__.startswith("meddenoise.")}
    assert set(SMALL) == ours == {name for name, *_ in CASES}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    "size", [(1, 1), (2, 3), (7, 5), (16, 16), (1, 1, 1), (5, 7, 3), (8, 8, 1), (9, 4, 6)]
)
def test_any_size_keeps_its_shape(name: str, size: tuple[int, ...]) -> None:
    network = stirred(name, len(size), SMALL[name])
    x = torch.randn(2, 1, *size, dtype=torch.float64)
    before = x.clone()
    y = network(x)
    assert y.shape == x.shape
    assert bool(y.isfinite().all())
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("dims", [2, 3])
def test_a_residual_network_starts_as_the_identity(name: str, dims: int) -> None:
    network = build_network(name, dims=dims, **SMALL[name])
    x = 1000 * torch.randn(1, 1, *(6, 7, 5)[:dims])
    assert torch.equal(network(x), x)
    # and yet it learns: the gradient is not zero.
    (network(x) - 1).square().mean().backward()
    assert any(p.grad is not None and float(p.grad.abs().max()) > 0 for p in network.parameters())


def reach(network: nn.Module, size: tuple[int, ...], place: tuple[int, ...]) -> Tensor:
    """How far from ``place``, per axis, the outputs lie that a change there changes."""
    x = torch.randn(1, 1, *size, dtype=torch.float64)
    changed = x.clone()
    changed[(0, 0, *place)] += 100
    with torch.no_grad():
        moved = (network(changed) - network(x)).abs()[0, 0] > 1e-12
    return (moved.nonzero() - torch.tensor(place)).abs().amax(0)


@pytest.mark.parametrize(("name", "dims", "options"), CASES)
def test_the_halo_bounds_the_receptive_field(name: str, dims: int, options: dict[str, Any]) -> None:
    network = stirred(name, dims, options)
    halo = torch.tensor(network.halo)
    size = tuple(2 * (h + 6) for h in network.halo)
    farthest = torch.zeros(dims, dtype=torch.long)
    for shift in range(max(network.multiple)):
        place = tuple(s // 2 + shift % m for s, m in zip(size, network.multiple, strict=True))
        farthest = farthest.maximum(reach(network, size, place))
    assert bool((farthest <= halo).all())
    # No idle bound either: wider overlaps than needed are work for nothing.
    assert bool((farthest >= 0.8 * halo - 1).all())


@pytest.mark.parametrize(("name", "dims", "options"), CASES)
def test_the_multiple_is_the_period_of_the_grid(
    name: str, dims: int, options: dict[str, Any]
) -> None:
    network = stirred(name, dims, options)
    size = tuple(
        m * -(-(2 * h + 2 * m + 4) // m)
        for m, h in zip(network.multiple, network.halo, strict=True)
    )
    x = torch.randn(
        1, 1, *(s + m for s, m in zip(size, network.multiple, strict=True)), dtype=torch.float64
    )
    inner = tuple(slice(m, None) for m in network.multiple)
    with torch.no_grad():
        whole, part = network(x)[(0, 0, *inner)], network(x[(..., *inner)])[0, 0]
    far = tuple(slice(h, None) for h in network.halo)
    assert torch.allclose(whole[far], part[far], atol=1e-10)


@pytest.mark.parametrize("name", SMALL)
def test_each_image_of_a_batch_is_for_itself(name: str) -> None:
    network = stirred(name, 2, SMALL[name])
    x = torch.randn(3, 1, 9, 9, dtype=torch.float64)
    assert torch.allclose(network(x)[1], network(x[1:2])[0])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unett", {}, r"no network 'unett' \(did you mean 'unet'\?\)"),
        ("unet", {"chanels": [3]}, r"network\.chanels is no key here \(did you mean 'channels'"),
        ("unet", {"channels": []}, "positive number of channels"),
        ("unet", {"channels": [4, 0]}, "positive number of channels"),
        ("unet", {"channels": "16"}, "channels must be a list"),
        ("unet", {"strides": [2]}, "needs 2 strides"),
        ("unet", {"strides": [[2, 2], 2]}, "3 numbers of at least 1"),
        ("unet", {"strides": [0, 2]}, "at least 1"),
        ("dncnn", {"depth": 1}, "at least 2 layers"),
        ("dncnn", {"width": 0}, "feature channel"),
    ],
)
def test_what_makes_no_network(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_network(name, dims=3, **options)


def test_dims_are_two_or_three() -> None:
    with pytest.raises(ConfigError, match="2 or 3"):
        build_network("unet", dims=4)


def test_a_network_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NETWORKS, "_parts", dict(NETWORKS._parts))

    @register_network("one-layer")
    class OneLayer(nn.Module):
        def __init__(self, dims: int = 3, kernel: int = 3) -> None:
            super().__init__()
            layer = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
            self.layer = layer(1, 1, kernel, padding=kernel // 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)

    network = build_network("one-layer", dims=2, kernel=5)
    assert network(torch.zeros(1, 1, 8, 9)).shape == (1, 1, 8, 9)
    with pytest.raises(ConfigError, match="did you mean 'kernel'"):
        build_network("one-layer", dims=2, kernels=5)
