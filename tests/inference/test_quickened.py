from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.config import InferenceConfig
from meddenoise.inference import fused as fused_module
from meddenoise.inference.compute import Compute
from meddenoise.inference.fused import FusedConv, TakenIn
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
    mirrored = nn.Conv2d(1, 3, 3, padding=1, padding_mode="reflect")  # takes no activation in
    network = nn.Sequential(mirrored, nn.ReLU(), nn.AvgPool2d(1), nn.ReLU())
    quick = quickened(drawn(network), 2)
    assert [layer.inplace for layer in quick if isinstance(layer, nn.ReLU)] == [True, False]
    assert not network[1].inplace
    x = torch.randn(1, 1, 8, 8)
    assert torch.equal(quick(x), network(x))
    # Not on the input itself, which is whoever gave it.
    first = quickened(drawn(nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 1))), 2)
    given = x.clone()
    first(given)
    assert torch.equal(given, x)


def relus(network: nn.Module) -> int:
    """Those that are layers of their own."""
    kinds = (nn.ReLU, nn.LeakyReLU)
    taken = sum(isinstance(module, TakenIn) for module in network.modules())
    return sum(isinstance(module, kinds) for module in network.modules()) - taken


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_activations_are_taken_in_on_a_cpu(dims: int, inplace: bool, slope: float) -> None:
    conv = nn.Conv2d if dims == 2 else nn.Conv3d

    class Shared(nn.Module):
        """One activation for two convolutions, one of them with a norm, strided and in groups."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = conv(1, 8, 3, padding=1), conv(8, 8, 3, 2, 1, groups=2)
            self.norm = NORMS[dims - 2](8)
            self.act = nn.LeakyReLU(slope, inplace) if slope else nn.ReLU(inplace)
            self.last = conv(8, 1, 3, padding=2, dilation=2, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            y = self.act(self.first(x))
            return self.last(y.mean() + self.act(self.norm(self.second(y))))

    network = drawn(Shared())
    x = torch.randn(2, 1, *(12, 10, 8)[:dims])
    before = network(x)
    quick = quickened(network, dims)
    assert relus(quick) == 0
    assert relus(network) == 1
    with torch.inference_mode():
        torch.testing.assert_close(quick(x), before, rtol=1e-4, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = quick(x)
            assert rounded.dtype == torch.bfloat16
            torch.testing.assert_close(rounded, network(x), rtol=0.05, atol=0.05)
    torch.testing.assert_close(quick.double()(x.double()), before.double(), rtol=1e-4, atol=1e-5)
    if torch.cuda.is_available():
        with torch.no_grad():
            found = quickened(drawn(Shared()).cuda(), dims)(x.cuda()).cpu()
        torch.testing.assert_close(found, before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("inplace", [False, True])
def test_what_is_seen_before_its_activation_is_left(inplace: bool) -> None:
    class Seen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            largest = y.abs().amax()
            return (self.act(y) + largest).mean(1, keepdim=True)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(inplace)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.act(self.conv(x)))

    for network in (drawn(Seen()), drawn(Twice())):
        x = torch.randn(1, 1, 8, 8)
        before = network(x)
        quick = quickened(network, 2)
        assert relus(quick) == 1
        with torch.inference_mode():
            torch.testing.assert_close(quick(x), before)


def fused(network: nn.Module) -> int:
    return sum(isinstance(module, FusedConv) for module in network.modules())


def test_weights_that_are_no_numbers_are_not_hidden() -> None:
    network = drawn(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1)))
    network[0].weight[0] = float("nan")
    quick = quickened(network, 2)
    with torch.inference_mode():
        assert quick(torch.randn(1, 1, 8, 8)).isnan().any()


def test_without_convolutions_in_bfloat16_torchs_own_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = drawn(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.LeakyReLU(0.1)))
    quick = quickened(network, 2)
    monkeypatch.setattr(fused_module, "_has_bf16", lambda: False)
    x = torch.randn(1, 1, 8, 8)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert fused(quick) == 1
        torch.testing.assert_close(quick(x), network(x))


def test_layers_with_more_than_torchs_own_stay() -> None:
    class Doubled(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    own = nn.Sequential(Doubled(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    hooked = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
    hooked[0].register_forward_hook(lambda module, given, made: 3 * made)
    late = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
    late[1].register_forward_hook(lambda module, given, made: made - 1)
    for network in map(drawn, (own, hooked, late)):
        x = torch.randn(1, 1, 8, 8)
        quick = quickened(network, 2)
        assert fused(quick) == 0
        with torch.inference_mode():
            torch.testing.assert_close(quick(x), network(x))
    usual = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 4, 3, padding=1))
    quick = quickened(drawn(nn.Sequential(usual, nn.ReLU())), 2)
    assert fused(quick) == 1


def test_a_branch_that_small_images_do_not_take() -> None:
    class Branched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            y = self.act(self.conv(x))
            return self.act(y - 0.5) if x.shape[2] > 8 else y

    network = drawn(Branched())
    quick = quickened(network, 2)
    assert fused(quick) == 1
    with torch.inference_mode():
        for side in (8, 16):
            x = torch.randn(1, 1, side, side)
            torch.testing.assert_close(quick(x), network(x))


def test_layers_keep_their_attributes_and_keywords() -> None:
    class Asks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()
            self.pool = nn.MaxPool2d(2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.act(self.conv(x)) * self.conv.out_channels
            return self.pool(input=y) + self.pool.kernel_size

    network = drawn(Asks())
    quick = quickened(network, 2)
    assert fused(quick) == 1
    with torch.inference_mode():
        x = torch.randn(1, 1, 8, 8)
        torch.testing.assert_close(quick(x), network(x))
        with pytest.raises(AttributeError, match="nothing"):
            _ = quick.conv.nothing


def test_a_maximum_is_not_widened() -> None:
    network = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.MaxPool3d(2))
    quick = quickened(drawn(network), 3)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        x = torch.randn(1, 1, 8, 8, 8)
        assert network(x).dtype == torch.float32
        assert quick(x).dtype == torch.bfloat16
        assert torch.equal(quick(x).float(), network(x))


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
