"""What every registered network promises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from meddenoise.errors import ConfigError
from meddenoise.networks import build_network, network_names
from meddenoise.networks.registry import NETWORKS, axes_of, register_network

SMALL: dict[str, dict[str, Any]] = {
    "autoencoder": {"channels": [3, 4]},
    "dncnn": {"depth": 4, "width": 3},
    "drunet": {"channels": [3, 4], "blocks": 1, "residual": True},
    "lapped": {"channels": [3, 4]},
    "levelled": {"channels": [3, 4]},
    "light": {"channels": [3, 4], "residual": True},
    "nafnet": {"channels": [3, 4], "blocks": 1},
    "red_cnn": {"layers": 2, "width": 3, "kernel": 3},
    "slab_unet": {"channels": [3, 4], "neighbours": 1, "residual": True},
    "unet": {"channels": [3, 4, 5], "residual": True},
}
# Those whose prediction goes through no shortcut, or that denoise before they have learnt.
NO_IDENTITY = {"autoencoder", "lapped"}
# The smallest sizes of each kind that catch an axis confused with another.
CASES = [
    ("unet", 2, {"channels": [4]}),
    ("unet", 2, {"channels": [3, 4, 5]}),
    ("unet", 2, {"channels": [3, 4, 5], "residual": True}),
    ("unet", 3, {"channels": [2, 3]}),
    ("unet", 3, {"channels": [2, 3], "strides": [[2, 2, 1]]}),
    ("unet", 2, {"channels": [3, 4], "strides": [3]}),
    ("unet", 2, {"channels": [3, 3, 3], "strides": [[1, 2], [4, 1]]}),
    ("unet", 2, {"channels": [3, 4, 5], "pool": "blur", "top_skip": False}),
    ("unet", 3, {"channels": [2, 3], "strides": [[2, 2, 1]], "pool": "blur"}),
    ("unet", 2, {"channels": [3, 4], "strides": [[3, 1]], "pool": "blur"}),
    ("unet", 2, {"channels": [3, 4, 4], "attention": True}),
    ("autoencoder", 2, {"channels": [3, 4, 4]}),
    ("autoencoder", 3, {"channels": [2, 3], "strides": [[2, 1, 2]]}),
    ("dncnn", 2, {"depth": 2, "width": 3}),
    ("dncnn", 2, {"depth": 3, "width": 3, "batch_norm": True}),
    ("dncnn", 3, {"depth": 4, "width": 3}),
    ("drunet", 2, {"channels": [3, 4, 4], "blocks": 1, "bias": True}),
    ("drunet", 3, {"channels": [2, 3], "blocks": 1, "strides": [[2, 2, 1]]}),
    ("lapped", 2, {"channels": [3, 4]}),
    ("lapped", 3, {"channels": [2, 3], "strides": [[2, 2, 1]]}),
    ("levelled", 2, {"channels": [3, 4]}),
    ("levelled", 2, {"channels": [3, 4], "knee": 2.0}),
    ("levelled", 3, {"channels": [2, 3], "strides": [[2, 2, 1]]}),
    ("light", 2, {"channels": [3, 4]}),
    ("light", 2, {"channels": [3], "cell": 3}),
    ("light", 3, {"channels": [2, 3], "cell": [2, 3, 1], "strides": [[1, 1, 2]]}),
    ("nafnet", 2, {"channels": [3, 4], "blocks": 2}),
    ("nafnet", 3, {"channels": [2, 3], "blocks": 1, "strides": [[2, 1, 2]], "residual": False}),
    ("red_cnn", 2, {"layers": 3, "width": 3, "kernel": 5}),
    ("red_cnn", 3, {"layers": 2, "width": 3, "kernel": 3}),
    ("slab_unet", 3, {"channels": [3, 4], "neighbours": 2}),
]


def spatial(name: str) -> list[int]:
    """The numbers of axes that a network has."""
    return list(axes_of(name))


def stirred(name: str, dims: int, options: dict[str, Any]) -> nn.Module:
    """A network with all weights random, also those that start at zero."""
    torch.manual_seed(0)
    network = build_network(name, dims=dims, **options).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    return network


def test_every_network_is_tested_here() -> None:
    """MONAI's are in test_monai.py."""
    ours = {n for n in network_names() if NETWORKS.get(n).__module__.startswith("meddenoise.")}
    ours = {name for name in ours if not name.startswith("monai_")}
    assert set(SMALL) == ours == {name for name, *_ in CASES}


SIZES = [(1, 1), (2, 3), (7, 5), (16, 16), (1, 1, 1), (5, 7, 3), (8, 8, 1), (9, 4, 6)]


@pytest.mark.parametrize(("name", "size"), [
    (name, size) for name in SMALL for size in SIZES if len(size) in spatial(name)
])  # fmt: skip
def test_any_size_keeps_its_shape(name: str, size: tuple[int, ...]) -> None:
    network = stirred(name, len(size), SMALL[name])
    x = torch.randn(2, 1, *size, dtype=torch.float64)
    before = x.clone()
    y = network(x)
    assert y.shape == x.shape
    assert bool(y.isfinite().all())
    assert torch.equal(x, before)


@pytest.mark.parametrize(("name", "dims"), [
    (name, dims) for name in SMALL if name not in NO_IDENTITY for dims in spatial(name)
])  # fmt: skip
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
    dims = spatial(name)[0]
    network = stirred(name, dims, SMALL[name])
    x = torch.randn(3, 1, *(9, 8, 5)[:dims], dtype=torch.float64)
    assert torch.allclose(network(x)[1], network(x[1:2])[0])


@pytest.mark.parametrize("name", SMALL)
def test_half_precision_changes_little(name: str) -> None:
    """As training with precision bf16 runs it."""
    dims = spatial(name)[0]
    network = stirred(name, dims, SMALL[name]).float()
    x = torch.randn(1, 1, *(12, 10, 8)[:dims])
    with torch.no_grad():
        exact = network(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = network(x)
    assert float((rough.float() - exact).norm()) < 0.1 * float(exact.norm())
    assert float((rough.float() - exact).norm()) > 0  # it was in half precision


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
        ("unet", {"pool": "avg"}, r"network\.pool must be 'max' or 'blur'"),
        ("drunet", {"blocks": 0}, "at least 1 block"),
        ("drunet", {"strides": [2, 2, 2]}, "A DRUNet of 3 levels and 3 axes needs 2 strides"),
        ("nafnet", {"blocks": 0}, "at least 1 block"),
        ("autoencoder", {"channels": []}, "An autoencoder needs a positive number"),
        ("red_cnn", {"kernel": 4}, "odd number of voxels, not 4"),
        ("red_cnn", {"layers": 0}, "at least 1 layer"),
        ("light", {"channels": []}, "positive number of channels"),
        ("light", {"cell": [2, 2]}, "one number or 3 numbers"),
        ("light", {"cell": 0}, "at least 1, not 0"),
        ("slab_unet", {"neighbours": -1}, "at least 0, not -1"),
        ("slab_unet", {"strides": [[2, 2, 1], 2]}, "2 numbers of at least 1"),
        ("dncnn", {"depth": 1}, "at least 2 layers"),
        ("dncnn", {"width": 0}, "feature channel"),
        ("dncnn", {"depth": 10**12}, "at most 1000"),
        ("red_cnn", {"layers": 10**12}, "at most 1000"),
        ("drunet", {"blocks": 10**12}, "at most 1000"),
        ("nafnet", {"blocks": 10**12}, "at most 1000"),
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


@pytest.mark.parametrize("channels", [[10**9, 10**9], [4, 2**62], [10**26, 4]])
@pytest.mark.parametrize("dims", [2, 3])
def test_more_weights_than_any_memory_holds(dims: int, channels: list[int]) -> None:
    with pytest.raises(ConfigError, match=rf"'unet' with channels \[{channels[0]}, .* smaller"):
        build_network("unet", dims=dims, channels=channels)
