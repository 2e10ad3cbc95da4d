from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.config import InferenceConfig
from meddenoise.inference.compute import Compute
from meddenoise.inference.quickened import quickened
from meddenoise.networks import build_network

NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


class Apart(nn.Module):
    """Batch norms that no ``Sequential`` tells of, as other projects build them."""

    def __init__(self, dims: int = 3) -> None:
        super().__init__()
        conv, norm = (nn.Conv2d, NORMS[0]) if dims == 2 else (nn.Conv3d, NORMS[1])
        self.first, self.norm1 = conv(1, 5, 3, padding=1), norm(5)
        self.second, self.norm2 = conv(5, 5, 3, padding=1), norm(5)
        self.third, self.norm3 = conv(5, 5, 3, padding=1), norm(5)
        self.last = conv(5, 1, 1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.first(x)))
        looked_at = self.second(y)
        y = self.relu(self.norm2(looked_at) + looked_at)  # neither norm nor sum can be taken in
        kept = self.norm3(self.third(y))
        return self.last(self.relu(kept) - F.relu(-kept))


def drawn(network: nn.Module) -> nn.Module:
    """With statistics and weights that do something."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, NORMS):
            module.running_mean.normal_()  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("dims", [2, 3])
def test_norms_are_taken_in_where_nothing_else_looks(dims: int) -> None:
    network = drawn(Apart(dims))
    x = torch.randn(2, 1, *(9, 8, 7)[:dims])
    before = network(x)
    quick = quickened(network, dims)
    torch.testing.assert_close(quick(x), before, rtol=1e-4, atol=1e-5)
    kept = [name for name, module in quick.named_modules() if isinstance(module, NORMS)]
    assert kept == ["norm2"]  # its convolution's result is looked at twice
    # One of its calls gets what the line after it looks at as well.
    assert not quick.relu.inplace
    # The network given is what it was.
    assert torch.equal(network(x), before)
    assert sum(isinstance(module, NORMS) for module in network.modules()) == 3


def test_activations_work_in_place_where_they_may() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 1, 1), nn.ReLU())
    quick = quickened(drawn(network), 2)
    assert [layer.inplace for layer in quick if isinstance(layer, nn.ReLU)] == [True, True]
    assert not network[1].inplace
    x = torch.randn(1, 1, 8, 8)
    assert torch.equal(quick(x), network(x))
    # Not on the input itself, which is whoever gave it.
    first = quickened(drawn(nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 1))), 2)
    given = x.clone()
    first(given)
    assert torch.equal(given, x)


def test_a_norm_of_each_image_stays() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
    quick = quickened(network.eval(), 2)
    x = torch.randn(1, 1, 8, 8)
    assert torch.equal(quick(x), network(x))


@pytest.mark.parametrize("name", ["unet", "light", "dncnn"])
def test_kernels_of_one_voxel_are_matrix_products(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(name, dims=3).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    x = torch.randn(1, 1, 24, 16, 8)
    before = network(x)
    one = Compute(network, 3, torch.device("cpu"), InferenceConfig())
    left = [
        m for m in one.network.modules() if isinstance(m, nn.Conv3d) and m.kernel_size == (1,) * 3
    ]
    assert not left
    with torch.inference_mode():
        found = one.network(x)
    torch.testing.assert_close(found, before, rtol=1e-4, atol=1e-4 * float(before.abs().max()))
    # Nothing is held twice.
    weights = {p.data_ptr() for p in network.parameters()}
    assert {p.data_ptr() for p in one.network.parameters()} == weights


def test_other_kernels_of_one_voxel_stay() -> None:
    network = nn.Sequential(
        nn.Conv3d(1, 4, 1, stride=2), nn.Conv3d(4, 4, 1, groups=2), nn.Conv3d(4, 1, 1, padding=1)
    )
    quick = quickened(network.eval(), 3)
    assert [type(layer) for layer in quick] == [nn.Conv3d] * 3


def test_a_network_that_fails_is_left_to_fail_in_earnest() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(1)

        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("no")

    quick = quickened(Broken().eval(), 2)
    with pytest.raises(RuntimeError, match="no"):
        quick(torch.zeros(1, 1, 8, 8))
