from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item, PatchSampler
from meddenoise.training import Engine, Noise2VoidTrainer
from meddenoise.training.growth import Growth

Make = Callable[..., Engine]


class Watching(Noise2VoidTrainer):
    """Notes the shape of every batch; is killed at a step."""

    def __init__(self, killed_at: int = -1) -> None:
        super().__init__(mask_percent=3.0, window=5)
        self.shapes: list[tuple[int, ...]] = []
        self.killed_at = killed_at

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if draws.step == self.killed_at:
            raise InterruptedError
        if isinstance(draws.step, int):
            self.shapes.append(tuple(batch.image.shape))
        return super().training_step(network, batch, draws)


def sampler(patch: tuple[int, ...]) -> PatchSampler:
    item = Item(torch.rand(64, 64, 40), None, 0.0, 1.0, (1.0, 1.0, 1.0))
    return PatchSampler([item], patch)


def test_without_a_first_size_nothing_grows() -> None:
    growth = Growth(sampler((32, 32, 16)), None, 2)
    assert all(growth.at(p / 10)[0].patch == (32, 32, 16) for p in range(11))
    assert growth.at(0.0)[1] == 2


def test_patches_grow_to_the_full_size_and_a_step_costs_the_same() -> None:
    growth = Growth(sampler((64, 64, 32)), (16, 16, 16), 1)
    sizes = [growth.at(p / 100) for p in range(101)]
    assert sizes[0][0].patch == (16, 16, 16)
    assert all(patches.patch == (64, 64, 32) for patches, _ in sizes[50:])
    voxels = [math.prod(patches.patch) for patches, _ in sizes]
    assert voxels == sorted(voxels)
    assert len(set(voxels)) == 5
    for (_, batch), n in zip(sizes, voxels, strict=True):
        assert 64 * 64 * 32 * 0.8 <= batch * n <= 64 * 64 * 32


def test_all_sizes_share_the_scans() -> None:
    growth = Growth(sampler((64, 64, 32)), (16, 16, 16), 1)
    places = {id(growth.at(p)[0]._voxels) for p in (0.0, 0.2, 1.0)}
    assert len(places) == 1


def test_a_first_size_beyond_a_small_scan_is_cut() -> None:
    small = PatchSampler([Item(torch.rand(12, 12), None, 0.0, 1.0, (1.0, 1.0))], (64, 64))
    assert Growth(small, (32, 32), 3).at(0.0)[0].patch == (12, 12)


def test_a_run_with_growing_patches_is_resumed_to_the_bit(make: Make, tmp_path: Path) -> None:
    straight = Watching()
    expected = make(trainer=straight, patch_from=(4, 4)).run()
    assert straight.shapes[0] == (16, 1, 4, 4)
    assert straight.shapes[-1] == (4, 1, 8, 8)
    with pytest.raises(InterruptedError):
        make(tmp_path, Watching(killed_at=7), patch_from=(4, 4)).run()
    rest = Watching()
    result = make(tmp_path, rest, patch_from=(4, 4)).run(resume=True)
    assert rest.shapes == straight.shapes[5:]
    for one, other in zip(expected.network.parameters(), result.network.parameters(), strict=True):
        assert torch.equal(one, other)
