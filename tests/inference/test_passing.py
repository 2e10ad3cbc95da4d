from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from meddenoise.config import InferenceConfig
from meddenoise.inference import Denoiser, compute
from meddenoise.inference.passing import PassingUNet, can_pass
from meddenoise.networks import build_network


def network(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    made = build_network(name, dims=3, **options).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.copy_(torch.randn(parameter.shape) * (0.2 if parameter.ndim > 1 else 0.1))
    return made


def whole_and_passing(
    made: Any, depth: int, *, slab: int, part: int = 3, context: Any = nullcontext
) -> tuple[Tensor, Tensor]:
    """What a network makes of planes at once, and as they pass by; ``(n, X, Y)``."""
    x, y, z = made.multiple
    inputs = getattr(made, "body", made).down[0][0].in_channels
    inputs //= np.prod(getattr(made, "cell", (1,)))
    planes = torch.randn(depth + -depth % z, inputs, 3 * x, 5 * y)
    with torch.inference_mode(), context():
        whole = made(planes.permute(1, 2, 3, 0)[None])[0, 0].permute(2, 0, 1)
    passing = PassingUNet(made).over(iter(planes.split(part)), len(planes), slab * z, context)
    return whole, torch.cat([*passing])


@pytest.mark.parametrize("depth", [1, 8, 23, 40])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {}),
        ("light", {"cell": [2, 2, 1], "residual": True, "inputs": 2}),
        ("light", {"cell": [1, 2, 3], "channels": [6, 7, 8]}),
        ("unet", {"channels": [4, 5, 6]}),
        ("unet", {"channels": [4, 5], "residual": True, "inputs": 2}),
        ("unet", {"channels": [4, 5, 6], "strides": [[2, 2, 1], [1, 2, 3]]}),
        ("unet", {"channels": [4, 5], "top_skip": False, "bias": False}),
        ("unet", {"channels": [4]}),
    ],
)
@pytest.mark.parametrize(("slab", "part"), [(1, 3), (2, 100), (3, 1)])
def test_planes_that_pass_by_give_what_all_at_once_give(
    name: str, options: dict[str, Any], depth: int, slab: int, part: int
) -> None:
    whole, passing = whole_and_passing(network(name, **options), depth, slab=slab, part=part)
    assert passing.shape == whole.shape
    assert (passing - whole).abs().max() < 1e-5 * whole.abs().max()


def test_in_bfloat16() -> None:
    def half() -> Any:
        return torch.autocast("cpu", torch.bfloat16)

    whole, passing = whole_and_passing(network("light"), 24, slab=2, context=half)
    assert (passing - whole).abs().max() < 0.03 * whole.abs().max()


def test_in_the_end_no_more_planes_come_at_once_than_before() -> None:
    made = network("unet", channels=[4, 5, 6])
    planes = torch.randn(64, 1, 8, 8)
    passing = PassingUNet(made).over(iter([planes]), 64, 8, nullcontext)
    assert max(len(part) for part in passing) <= 8


@pytest.mark.parametrize(
    ("name", "options"),
    [("unet", {"attention": True}), ("unet", {"pool": "blur"}), ("dncnn", {}), ("drunet", {})],
)
def test_other_networks_go_in_tiles(name: str, options: dict[str, Any]) -> None:
    assert can_pass(build_network("unet", dims=3))
    assert not can_pass(build_network("unet", dims=2))
    assert not can_pass(build_network(name, dims=3, **options))


def test_what_somebody_hung_on_a_network_is_run() -> None:
    hooked, replaced, changed = (build_network("unet", dims=3) for _ in range(3))
    hooked.up.register_forward_hook(lambda *given: None)
    replaced.forward = lambda x: x  # type: ignore[method-assign]

    class Other(nn.LeakyReLU):
        def forward(self, x: Tensor) -> Tensor:
            return x

    changed.down[0][1] = Other()  # type: ignore[index,operator]
    assert not any(map(can_pass, (hooked, replaced, changed)))


@pytest.mark.parametrize(
    "layer",
    [
        nn.SiLU(),
        nn.Identity(),
        nn.PReLU(),
        nn.Conv3d(1, 16, 3, padding=1, padding_mode="replicate"),
        nn.Conv3d(1, 16, 5, padding=2),
        nn.Conv3d(1, 16, 3, padding=2, dilation=2),
    ],
)
def test_layers_of_another_kind_go_in_tiles(layer: nn.Module) -> None:
    made: Any = build_network("unet", dims=3)
    made.down[0][0 if isinstance(layer, nn.Conv3d) else 1] = layer
    assert not can_pass(made)
    more, last = build_network("unet", dims=3), build_network("unet", dims=3)
    more.up[0].append(nn.Dropout())  # type: ignore[index,union-attr,operator]
    last.out = nn.Sequential(last.out, nn.Tanh())  # type: ignore[arg-type]
    assert not any(map(can_pass, (more, last)))


def watch(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many planes each slab has that is going to pass by; small scans are tiled as well."""
    monkeypatch.setattr(compute, "_SMALL", 0)
    slabs: list[int] = []
    over = PassingUNet.over

    def watched(self: Any, parts: Any, depth: int, slab: int, context: Any) -> Any:
        slabs.append(slab)
        return over(self, parts, depth, slab, context)

    monkeypatch.setattr(PassingUNet, "over", watched)
    return slabs


def run(made: Any, monkeypatch: pytest.MonkeyPatch, **inference: Any) -> tuple[Denoiser, list[int]]:
    """A denoiser, and what :func:`watch` sees of it."""
    settings = InferenceConfig(restore=False, **inference)
    return Denoiser(made, inference=settings, device="cpu"), watch(monkeypatch)


@pytest.mark.parametrize("memory", [1_000_000, 20_000])
def test_a_scan_larger_than_a_tile_passes_by_if_its_planes_do_fit(
    monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    made = network("unet", channels=[2, 3])
    array = np.random.default_rng(0).normal(100, 20, (21, 30, 90)).astype(np.float32)
    expected = Denoiser(made, inference=InferenceConfig(restore=False), device="cpu").denoise_array(
        array
    )
    denoiser, slabs = run(made, monkeypatch)
    monkeypatch.setattr(compute, "_MOST", memory)
    told: list[float] = []
    found = denoiser.denoise_array(array, progress=told.append)
    assert bool(slabs) == (memory == 1_000_000)
    if slabs:  # tiles as small as these are smaller than the network sees
        np.testing.assert_allclose(found, expected, atol=1e-2)
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.parametrize("asked", [{"flips": True}, {"tile": [8, 8, 8]}, {"tile_voxels": 4096}])
def test_who_asks_for_tiles_or_flips_gets_them(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    denoiser, slabs = run(network("unet", channels=[2, 3]), monkeypatch, **asked)
    monkeypatch.setattr(compute, "_MOST", 1_000_000)
    denoiser.denoise_array(np.random.default_rng(0).normal(size=(21, 30, 90)).astype(np.float32))
    assert not slabs


def test_a_small_scan_that_is_padded_to_more_than_a_tile() -> None:
    """Of which nobody has counted what a voxel costs."""
    made = network("unet", channels=[2, 3, 4])
    array = np.random.default_rng(0).normal(100, 20, (97, 101, 53)).astype(np.float32)
    settings = InferenceConfig(restore=False)
    found = Denoiser(made, inference=settings, device="cpu").denoise_array(array)
    assert found.shape == array.shape


@pytest.mark.parametrize("lean", [False, True])
def test_where_memory_ends_there_are_tiles(monkeypatch: pytest.MonkeyPatch, lean: bool) -> None:
    made = network("unet", channels=[2, 3])
    monkeypatch.setattr(compute, "_SMALL", 0)
    monkeypatch.setattr(compute, "_MOST", 1_000_000)
    monkeypatch.setattr(compute, "_LEAN_TILES", 1_000_000)
    monkeypatch.setattr(compute, "_LEAN_PLANES", 1_000_000)
    tries: list[int] = []

    def ends(self: Any, parts: Any, depth: int, slab: int, context: Any) -> Any:
        tries.append(slab)
        raise MemoryError
        yield

    monkeypatch.setattr(PassingUNet, "over", ends)
    planes = torch.randn(90, 1, 22, 30)
    one = compute.Compute(made, 3, torch.device("cpu"), InferenceConfig())
    with pytest.warns(UserWarning, match=r"planes of 22 x 30 voxels at once: tiles are tried"):
        found = torch.cat([*one.planes((22, 30, 90), lambda: iter([planes]), lean=lean)])
    assert len(tries) == 1
    with torch.no_grad():
        whole = made(planes.permute(1, 2, 3, 0)[None])[0, 0].permute(2, 0, 1)
    assert found.shape == whole.shape
    assert (found - whole).abs().max() < 1e-4 * whole.abs().max()


@pytest.mark.parametrize("lean", [False, True])
def test_in_bfloat16_and_with_borders_to_fill(monkeypatch: pytest.MonkeyPatch, lean: bool) -> None:
    made = network("light", channels=[4, 5])
    for name in ("_MOST", "_LEAN_TILES", "_LEAN_PLANES"):
        monkeypatch.setattr(compute, name, 400_000)
    slabs = watch(monkeypatch)
    planes = torch.randn(91, 1, 22, 30)
    one = compute.Compute(made, 3, torch.device("cpu"), InferenceConfig(precision="bf16"))
    found = torch.cat([*one.planes((22, 30, 91), lambda: iter(planes.split(7)), lean=lean)])
    assert len(slabs) == 1
    with torch.no_grad():
        whole = made(planes.permute(1, 2, 3, 0)[None])[0, 0].permute(2, 0, 1)
    assert found.shape == whole.shape
    assert (found - whole).abs().max() < 0.03 * whole.abs().max()


def test_no_random_number_is_drawn() -> None:
    made = network("light")
    before = torch.get_rng_state()
    PassingUNet(made)
    assert torch.equal(torch.get_rng_state(), before)
