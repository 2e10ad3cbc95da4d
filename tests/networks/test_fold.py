from __future__ import annotations

import pytest
import torch
from torch import nn

from meddenoise.networks import build_network
from meddenoise.networks.fold import fold_batch_norm


def trained(dims: int) -> nn.Module:
    """A DnCNN with batch norm that has seen data, so that its statistics are not the first ones."""
    torch.manual_seed(0)
    network = build_network("dncnn", dims=dims, depth=4, width=3, batch_norm=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
        network.train()
        for _ in range(5):
            network(2 + 3 * torch.randn(4, 1, *(8,) * dims))
    return network.eval()


@pytest.mark.parametrize("dims", [2, 3])
def test_the_folded_network_is_the_same_function(dims: int) -> None:
    network = trained(dims)
    x = 2 + 3 * torch.randn(2, 1, *(9, 8, 7)[:dims])
    before = network(x)
    folded = fold_batch_norm(network)
    torch.testing.assert_close(folded(x), before, rtol=1e-4, atol=1e-5)
    norms = (nn.BatchNorm2d, nn.BatchNorm3d)
    assert not any(isinstance(module, norms) for module in folded.modules())
    # The norms did do something, and the network given still has them.
    plain = build_network("dncnn", dims=dims, depth=4, width=3)
    assert not torch.allclose(before, x, atol=1e-2)
    assert sum(isinstance(module, norms) for module in network.modules()) == 2
    assert torch.equal(network(x), before)
    # It is laid out as one without batch norm, which can take its weights.
    plain.load_state_dict(folded.state_dict())
    assert torch.equal(plain.eval()(x), folded(x))


def test_without_norms_nothing_changes() -> None:
    network = build_network("unet", dims=2, channels=[3, 4])
    folded = fold_batch_norm(network)
    assert [type(m) for m in folded.modules()] == [type(m) for m in network.modules()]
    x = torch.randn(1, 1, 8, 8)
    assert torch.equal(folded(x), network(x))


def test_a_norm_that_follows_something_else_stays() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.BatchNorm2d(2))
    assert len(fold_batch_norm(nn.Sequential(layers))[0]) == 3  # type: ignore[index]
