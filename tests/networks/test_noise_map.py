"""A second channel with the noise's level, and the networks that take one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from meddenoise.errors import ConfigError
from meddenoise.networks import build_network, with_noise_map
from meddenoise.networks.registry import NETWORKS, register_network

SMALL = {
    "autoencoder": {"channels": [3, 4]},
    "dncnn": {"depth": 3, "width": 3},
    "drunet": {"channels": [3, 4], "blocks": 1},
    "light": {"channels": [3, 4]},
    "nafnet": {"channels": [3, 4], "blocks": 1},
    "red_cnn": {"layers": 2, "width": 3, "kernel": 3},
    "slab_unet": {"channels": [3, 4]},
    "unet": {"channels": [3, 4]},
}


def test_one_level_a_sample_or_a_map() -> None:
    x = torch.rand(2, 1, 4, 5)
    both = with_noise_map(x, torch.tensor([0.5, 2.0]))
    assert both.shape == (2, 2, 4, 5)
    assert torch.equal(both[:, :1], x)
    assert both[0, 1].unique().tolist() == [0.5]
    assert both[1, 1].unique().tolist() == [2.0]
    level = torch.rand(4, 5, dtype=torch.float64)
    both = with_noise_map(x, level)
    assert both.dtype == torch.float32
    torch.testing.assert_close(both[1, 1], level.float())


@pytest.mark.parametrize(("name", "dims"), [
    (name, dims) for name in SMALL for dims in (2, 3) if (name, dims) != ("slab_unet", 2)
])  # fmt: skip
def test_networks_take_it_and_give_one_channel(name: str, dims: int) -> None:
    torch.manual_seed(0)
    network = build_network(name, dims=dims, inputs=2, **SMALL[name]).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    x = torch.rand(2, 1, *(7, 6, 5)[:dims])
    one, other = (network(with_noise_map(x, torch.full((2,), s))) for s in (0.1, 0.9))
    assert one.shape == x.shape
    assert not torch.allclose(one, other)


def test_a_residual_network_starts_as_the_image_without_its_map() -> None:
    x = torch.rand(1, 1, 8, 9)
    given = with_noise_map(x, torch.ones(1))
    for name, options in (
        ("unet", {"channels": [3, 4], "residual": True}),
        ("dncnn", {}),
        ("drunet", {"channels": [3, 4], "residual": True}),
        ("light", {"residual": True}),
        ("nafnet", {"channels": [3, 4]}),
        ("red_cnn", {"width": 3}),
    ):
        assert torch.equal(build_network(name, dims=2, inputs=2, **options)(given), x)


def test_inputs_are_no_option_and_a_network_may_take_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NETWORKS, "_parts", dict(NETWORKS._parts))

    @register_network("plain")
    class Plain(nn.Module):
        def __init__(self, dims: int = 3) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return x

    assert "inputs" not in NETWORKS.options("unet").model_fields
    assert isinstance(build_network("plain", dims=2, inputs=1), Plain)
    with pytest.raises(ConfigError, match=r"'plain' takes no noise map.*parameter 'inputs'"):
        build_network("plain", dims=2, inputs=2)
