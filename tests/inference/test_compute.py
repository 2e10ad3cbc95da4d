from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from meddenoise.config import InferenceConfig
from meddenoise.errors import ParameterError
from meddenoise.inference import compute as module
from meddenoise.inference.compute import Compute, Second
from meddenoise.networks import build_network


def compute(dims: int = 3, **settings: Any) -> Compute:
    torch.manual_seed(0)
    network = build_network("unet", dims=dims, channels=[3, 4, 4])
    return Compute(network, dims, torch.device("cpu"), InferenceConfig(**settings))


def run(one: Compute, x: Tensor, step: int = 5, **how: Any) -> Tensor:
    """``x`` is ``(C, X, Y, Z)``."""

    def planes() -> Iterator[Tensor]:
        return iter(x.movedim(-1, 0).split(step))

    parts = [*one.planes(x.shape[1:], planes, inputs=len(x), **how)]
    return torch.cat(parts).movedim(0, -1)


@pytest.mark.parametrize("step", [1, 7, 200])
@pytest.mark.parametrize(
    ("size", "most"), [((20, 19, 150), 32_000), ((10, 70, 83), 58_000), ((9, 120, 5), 7500)]
)
def test_planes_come_out_as_the_whole_volume_would(
    size: tuple[int, ...], most: int, step: int
) -> None:
    x = torch.randn(1, *size)
    whole = run(compute(), x)
    assert whole.shape == size
    tiled = run(compute(tile_voxels=most), x, step)
    assert (tiled - whole).abs().max() < 1e-5 * float(whole.max() - whole.min())


def test_a_streamed_volume_keeps_few_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(1, 40, 44, 160)
    whole = run(compute(), x)
    # As much as 64 planes of 40 x 44 voxels take, for one channel and the planes under way.
    monkeypatch.setattr(module, "_LEAN_PLANES", int(64 * 40 * 44 * 4 * 1.5))
    plan = compute().plan(x.shape[1:], 2**20, lean=True)
    assert plan.tile == (40, 44, 64)
    lean = run(compute(tile_voxels=10**6), x, lean=True)
    assert (lean - whole).abs().max() < 1e-5 * float(whole.max() - whole.min())


def test_tiles_follow_from_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    one, shape = compute(), (400, 400, 400)
    monkeypatch.setattr(module, "available_memory", lambda device=None: 2**30)
    some = one._most_voxels(shape, 1, lean=False)
    monkeypatch.setattr(module, "available_memory", lambda device=None: 2**31)
    assert one._most_voxels(shape, 1, lean=False) == pytest.approx(2 * some, rel=0.01)
    assert compute(memory=1)._most_voxels(shape, 1, lean=False) < some * 2
    half = compute(precision="bf16")._most_voxels(shape, 1, lean=False)
    assert 2 * some < 1.5 * half  # features of half the size
    assert compute(tile_voxels=77)._most_voxels(shape, 1, lean=False) == 77


class Greedy(nn.Module):
    """Fits only so many voxels at once, and asks each voxel's neighbours."""

    multiple, halo, most = (1, 1, 1), (1, 1, 1), 4000

    def forward(self, x: Tensor) -> Tensor:
        if math.prod(x.shape) > self.most:
            raise MemoryError
        return nn.functional.avg_pool3d(x, 3, 1, 1, count_include_pad=False)


def test_too_little_memory_makes_the_tiles_smaller_and_says_so() -> None:
    x = torch.randn(1, 30, 31, 32)
    network = Greedy()
    one = Compute(network, 3, torch.device("cpu"), InferenceConfig())
    with pytest.warns(UserWarning, match="not enough memory for tiles of 30 x 31 x 32 voxels"):
        found = run(one, x)
    network.most = 10**9
    assert torch.allclose(found, run(one, x), atol=1e-6)


def test_too_little_memory_for_any_tile_is_an_error_with_advice() -> None:
    network = Greedy()
    network.most = 0
    one = Compute(network, 3, torch.device("cpu"), InferenceConfig())
    with (
        pytest.warns(UserWarning, match="not enough memory"),
        pytest.raises(ParameterError, match=r"not enough memory for tiles of .* free some"),
    ):
        run(one, torch.randn(1, 8, 8, 8))
    # Where a tile is given, its voxels are no matter of memory.
    said = Compute(network, 3, torch.device("cpu"), InferenceConfig(tile=[8, 8, 8]))
    with pytest.raises(ParameterError, match=r"or give a smaller inference\.tile\."):
        run(said, torch.randn(1, 8, 8, 8))


def test_half_precision_is_near_and_in_between_floats() -> None:
    x = torch.randn(1, 16, 16, 16)
    exact, half = run(compute(), x), run(compute(precision="bf16"), x)
    assert half.dtype == torch.float32
    apart = (half - exact).abs().max() / exact.std()
    assert 0 < apart < 0.1


def test_a_cpu_has_no_fp16() -> None:
    with pytest.raises(ParameterError, match="fp16 needs a GPU"):
        compute(precision="fp16")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_gpu_gives_what_a_cpu_gives(precision: str) -> None:
    x = torch.randn(1, 20, 19, 150)
    # Tiles that are longer than what the network sees: smaller ones are blended, not exact.
    settings = InferenceConfig(tile_voxels=32_000, precision=precision, flips=True)
    here = compute(flips=True)
    there = Compute(build_network("unet", dims=3, channels=[3, 4, 4]), 3, torch.device("cuda"),
                    settings)  # fmt: skip
    there.network.load_state_dict(here.network.state_dict())
    expected = run(here, x)
    limit = 1e-2 if precision == "fp32" else 0.1  # convolutions may use TF32
    assert (run(there, x) - expected).abs().max() < limit * expected.std()


def test_the_negative_of_an_image_keeps_its_level() -> None:
    """What a second channel says of the noise is no part of the image."""

    class Scaled(nn.Module):
        multiple, halo = (1, 1), (0, 0)

        def forward(self, x: Tensor) -> Tensor:
            return x[:, :1] * x[:, 1:] + x[:, 1:]

    one = Compute(Scaled(), 2, torch.device("cpu"), InferenceConfig(), inputs=2)
    x = torch.rand(3, 2, 8, 6)
    (plain,) = one.planes((8, 6, 3), lambda: iter([x]), inputs=2)
    (twice,) = one.planes((8, 6, 3), lambda: iter([x]), inputs=2, second="negative")
    torch.testing.assert_close(plain, x[:, 0] * x[:, 1] + x[:, 1])
    inner = (slice(None), slice(2, -3), slice(2, -3))
    torch.testing.assert_close(twice[inner], (x[:, 0] * x[:, 1])[inner])
    rim = torch.ones(8, 6, dtype=torch.bool)
    rim[2:-3, 2:-3] = False
    torch.testing.assert_close(twice[:, rim], plain[:, rim])


@pytest.mark.parametrize("second", ["shifted", "negative"])
@pytest.mark.parametrize("flips", [False, True])
def test_a_second_pass_sees_the_grid_elsewhere(second: Second, flips: bool) -> None:
    """The mean over all places that the grid may have is that of cells of any place."""

    class Cells(nn.Module):
        multiple, halo = (2, 2, 2), (1, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            for axis in (2, 3, 4):
                mean = x.unflatten(axis, (-1, 2)).mean(axis + 1)
                x = mean.repeat_interleave(2, axis)
            return x

    x = torch.randn(10, 1, 12, 8)
    one = Compute(Cells(), 3, torch.device("cpu"), InferenceConfig(flips=flips))
    found = torch.cat([*one.planes((12, 8, 10), lambda: iter(x.split(3)), second=second)])
    once = torch.cat([*one.planes((12, 8, 10), lambda: iter(x.split(3)))])
    inner = (slice(2, -3),) * 3
    part = x[1:-1, :, 1:-1, 1:-1].contiguous()
    there = torch.cat([*one.planes((10, 6, 8), lambda: iter([part]))])
    mean = once.clone()
    mean[inner] = (once[inner] + there[(slice(1, -2),) * 3]) / 2
    if flips:  # a mirror image has its far end at the near one
        found, mean = (y[(slice(3, -3),) * 3] for y in (found, mean))
    torch.testing.assert_close(found, mean)


@pytest.mark.parametrize("size", [(1, 9, 9), (9, 2, 9), (9, 9, 5)])
def test_of_a_thin_image_one_pass_is_enough(size: tuple[int, ...]) -> None:
    x = torch.randn(1, *size)
    plain = Compute(
        nn.Conv3d(1, 1, 3, padding=1), 3, torch.device("cpu"), InferenceConfig(tile_voxels=10**6)
    )
    plain.multiple = (1, 1, 1)
    assert torch.equal(run(plain, x, second="negative"), run(plain, x))


def test_two_passes_in_tiles_are_those_over_the_whole() -> None:
    """A network that sees exactly as far as it says."""
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Conv3d(1, 1, 3, padding=1, bias=False) for _ in range(3)))
    network.multiple, network.halo = (2, 2, 2), (3, 3, 3)  # type: ignore[assignment]
    x = torch.randn(1, 20, 22, 90)
    for second in ("shifted", "negative"):
        whole, tiled = (
            run(
                Compute(network, 3, torch.device("cpu"), InferenceConfig(tile_voxels=most)),
                x,
                second=second,
            )
            for most in (10**6, 12_000)
        )
        assert (tiled - whole).abs().max() < 1e-5 * whole.abs().max()


@pytest.mark.parametrize("dims", [2, 3])
def test_mirror_images_of_a_network_that_gives_back_its_input(dims: int) -> None:
    one = Compute(nn.Identity(), dims, torch.device("cpu"), InferenceConfig(flips=True))
    x = torch.randn(1, 16, 8, 8)
    torch.testing.assert_close(run(one, x), x[0])
