"""What is particular to an architecture: the paper's size, its options, its layout."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.errors import ConfigError
from meddenoise.networks import build_network, light
from meddenoise.networks.attention_gate import AttentionGate
from meddenoise.networks.light import shuffle, unshuffle
from meddenoise.networks.slab_unet import SlabUNet
from meddenoise.networks.unet import UNet


def weights(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "options", "published"),
    [
        # The authors' own implementations, for grey images in 2-D.
        ("drunet", {"channels": [64, 128, 256, 512], "blocks": 4, "inputs": 2}, 32_638_656),
        ("red_cnn", {}, 1_848_865),
        ("dncnn", {}, 555_137),
    ],
)
def test_as_many_weights_as_published(name: str, options: dict[str, Any], published: int) -> None:
    assert weights(build_network(name, dims=2, **options)) == published


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("inputs", [1, 2])
def test_the_light_network_is_light(dims: int, inputs: int) -> None:
    assert weights(build_network("light", dims=dims, inputs=inputs)) < 100_000


@pytest.mark.parametrize("cell", [(2, 2), (3, 1), (2, 1, 2), (2, 2, 2)])
def test_a_cell_s_voxels_become_channels_and_come_back(cell: tuple[int, ...]) -> None:
    coarse = (3, 4, 2)[: len(cell)]
    x = torch.randn(2, 3, *(n * c for n, c in zip(coarse, cell, strict=True)))
    y = unshuffle(x, cell)
    parts = y.shape[1] // 3
    assert y.shape == (2, 3 * parts, *coarse)
    assert torch.equal(shuffle(y, cell), x)
    # The first place's channels are the first voxel of every cell.
    first = x[(slice(None), slice(None), *(slice(None, None, c) for c in cell))]
    assert torch.equal(y[:, :3], first)
    if cell == (2, 2):
        by_torch = F.pixel_unshuffle(x, 2).view(2, 3, parts, *coarse)
        assert torch.equal(y.view(2, parts, 3, *coarse), by_torch.transpose(1, 2))


@pytest.mark.parametrize("cell", [(2, 2), (3, 2), (1, 1, 2), (2, 2, 2)])
@pytest.mark.parametrize("offset", [0, 1])
def test_copied_by_two_voxels_at_once_it_is_the_same(
    cell: tuple[int, ...], offset: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (2, 1, *(n * c for n, c in zip((3, 4, 5), cell, strict=False)))
    x = torch.randn(math.prod(shape) + offset)[offset:].view(shape)
    calls, paired = [], light._paired
    monkeypatch.setattr(light, "_paired", lambda *given: calls.append(1) or paired(*given))
    with torch.no_grad():
        found = unshuffle(x, cell)
    assert len(calls) == 1 - offset
    layout = torch.channels_last if len(cell) == 2 else torch.channels_last_3d
    assert found.is_contiguous(memory_format=layout)
    assert torch.equal(found, unshuffle(x, cell))


def test_strides_of_axes_of_one_voxel_do_not_matter() -> None:
    x = torch.randn(257).as_strided((1, 1, 16, 16), (257, 257, 16, 1))
    with torch.no_grad():
        assert torch.equal(unshuffle(x, (2, 2)), unshuffle(x.clone(), (2, 2)))


@pytest.mark.parametrize("dims", [2, 3])
def test_cells_are_channels_last_for_the_convolutions(dims: int) -> None:
    y = unshuffle(torch.randn(2, 1, *(8, 8, 8)[:dims]), (2,) * dims)
    layout = torch.channels_last if dims == 2 else torch.channels_last_3d
    assert y.is_contiguous(memory_format=layout)


def test_without_the_top_skip_the_finest_features_take_the_long_way() -> None:
    network = build_network("unet", dims=2, channels=[3, 4], top_skip=False)
    usual = build_network("unet", dims=2, channels=[3, 4])
    assert weights(usual) - weights(network) == 3 * 3 * 9
    # All that is left is what the coarse grid holds: a checkerboard's sign does not get through
    # pooled maxima that are the same for both.
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 1.0
    with torch.no_grad():
        for block in network.down[0], usual.down[0]:  # type: ignore[union-attr,index]
            for layer in block:
                if isinstance(layer, nn.Conv2d):  # pass the image on in every channel
                    nn.init.zeros_(layer.weight)
                    layer.weight[:, 0, 1, 1] = 1.0
        one, two = (network(b[None, None]) for b in (board, 1 - board))
        assert torch.allclose(one, two, atol=1e-6)
        one, two = (usual(b[None, None]) for b in (board, 1 - board))
        assert not torch.allclose(one, two, atol=1e-2)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_gate_weights_the_skip_by_the_paper_s_formula(dims: int) -> None:
    gate = AttentionGate(dims, 4).double()
    skip, coarse = torch.randn(2, 2, 4, *(3, 2, 2)[:dims], dtype=torch.float64)

    def mixed(layer: nn.Module, x: Tensor) -> Tensor:
        bias = 0 if layer.bias is None else layer.bias  # type: ignore[union-attr]
        flat = layer.weight.flatten(1) @ x.flatten(2) + (  # type: ignore[operator,union-attr]
            bias if isinstance(bias, int) else bias[:, None]
        )
        return flat.unflatten(2, x.shape[2:])

    heard = (mixed(gate.from_skip, skip) + mixed(gate.from_coarse, coarse)).clamp(min=0)
    expected = skip / (1 + torch.exp(-mixed(gate.gate, heard)))
    torch.testing.assert_close(gate(skip, coarse), expected)


def test_a_gated_network_has_a_gate_a_skip() -> None:
    network = build_network("unet", dims=2, channels=[4, 6, 8], attention=True)
    gates = [module for module in network.modules() if isinstance(module, AttentionGate)]
    assert len(gates) == 2
    # And they do something: a closed one lets nothing of the skip through.
    x = torch.randn(1, 1, 8, 8)
    before = network(x)
    with torch.no_grad():
        for gate in gates:
            gate.gate.bias.fill_(-100.0)  # type: ignore[union-attr,operator]
    assert not torch.allclose(network(x), before)


def test_a_slab_is_a_slice_with_its_neighbours_first_the_slice() -> None:
    network = SlabUNet(channels=[3, 4], neighbours=1)
    x = torch.randn(2, 1, 8, 8, 4)
    k = 2
    slab = torch.cat([x[..., k], x[..., k - 1], x[..., k + 1]], dim=1)
    torch.testing.assert_close(network(x)[..., k], network.plane(slab))
    ends = torch.cat([x[..., 0], x[..., 0], x[..., 1]], dim=1)
    torch.testing.assert_close(network(x)[..., 0], network.plane(ends))


def test_a_slab_without_neighbours_is_the_plane_network() -> None:
    network = SlabUNet(channels=[3, 4], neighbours=0)
    plane = UNet(2, channels=[3, 4])
    plane.load_state_dict(network.plane.state_dict())
    x = torch.randn(2, 1, 8, 7, 3)
    for k in range(3):
        torch.testing.assert_close(network(x)[..., k], plane(x[..., k]))


def test_a_slab_has_three_axes() -> None:
    with pytest.raises(ConfigError, match=r"slab_unet denoises slices.*data\.patch 3 numbers"):
        build_network("slab_unet", dims=2)


def test_the_autoencoder_has_no_way_around_the_coarse_grid() -> None:
    """Two images with the same pooled features give the same output."""
    network = build_network("autoencoder", dims=2, channels=[2, 3])
    with torch.no_grad():
        first = network.down[0]  # type: ignore[union-attr,index]
        nn.init.zeros_(first.weight)
        first.weight[:, 0, 1, 1] = 1.0
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 1.0
    one, two = (network(b[None, None]) for b in (board, 1 - board))
    torch.testing.assert_close(one, two)
