from __future__ import annotations

import math
import threading

import pytest
import torch

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item, PatchSampler
from meddenoise.errors import ParameterError

SHAPES = {2: ((7, 6), (9, 5)), 3: ((7, 6, 5), (5, 9, 8))}


def items(dims: int, *, target: bool, masked: bool) -> list[Item]:
    random = torch.Generator().manual_seed(0)
    made = []
    for number, shape in enumerate(SHAPES[dims]):
        image = torch.rand(shape, generator=random)
        mask = image > 0.3 if masked and number else None
        clean = -image if target else None
        made.append(Item(image, clean, 0.5, 2.0, (1.0,) * dims, 1.0, mask, sigma=0.1 + number))
    return made


def same(one: Batch, other: Batch) -> bool:
    pairs = [
        (getattr(one, name), getattr(other, name))
        for name in ("image", "target", "valid", "shift", "scale", "sigma", "spacing")
    ]
    return all(
        b is None if a is None else a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs
    )


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("augment", ["none", "flips", "rotations"])
@pytest.mark.parametrize(("target", "masked"), [(False, False), (True, True)])
def test_patches_cut_in_place_are_those_of_the_buffer(
    dims: int, augment: str, target: bool, masked: bool
) -> None:
    given = items(dims, target=target, masked=masked)
    flat, there = (
        PatchSampler(given, (4,) * dims, augment=augment, in_place=where) for where in (False, True)
    )
    for step in (0, 1, 2, 7, 8, "validation 0", 9):
        draws = Draws(3, step, 40)
        assert same(flat.draw(draws), there.draw(draws))
    small = (3,) * dims
    assert same(flat.cut_to(small).draw(draws), there.cut_to(small).draw(draws))


def test_nothing_is_copied_in_place() -> None:
    given = items(3, target=False, masked=False)
    sampler = PatchSampler(given, (4, 4, 4), in_place=True)
    before = sampler.draw(Draws(0, "validation 0", 4)).image
    for item in given:
        item.image.add_(2)
    assert torch.allclose(sampler.draw(Draws(0, "validation 0", 4)).image, before + 1)


def test_the_next_step_is_fetched_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = PatchSampler(items(2, target=False, masked=False), (4, 4), in_place=True)
    took: list[tuple[int | str, bool]] = []
    take = PatchSampler._take

    def seen(self: PatchSampler, draws: Draws) -> object:
        took.append((draws.step, threading.current_thread() is threading.main_thread()))
        return take(self, draws)

    monkeypatch.setattr(PatchSampler, "_take", seen)
    for step in (0, 1, "validation 0", 2):
        sampler.draw(Draws(0, step, 2, progress=step / 10 if isinstance(step, int) else 0.0))
    assert sampler._ahead is not None
    assert sampler._ahead._next is not None
    sampler._ahead._next[1].result()
    in_main = {0: True, 1: False, 2: False, 3: False, "validation 0": True}
    assert dict(took) == in_main
    assert len(took) == len(in_main)


def test_a_fault_in_the_other_thread_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = PatchSampler(items(2, target=False, masked=False), (4, 4), in_place=True)
    take = PatchSampler._take

    def lost(self: PatchSampler, draws: Draws) -> object:
        if draws.step == 1:
            raise OSError("the disk is gone")
        return take(self, draws)

    monkeypatch.setattr(PatchSampler, "_take", lost)
    sampler.draw(Draws(0, 0, 2))
    with pytest.raises(OSError, match="the disk is gone"):
        sampler.draw(Draws(0, 1, 2))


def test_partners_for_some_scans_only() -> None:
    some = [items(2, target=t, masked=False)[0] for t in (False, True)]
    for in_place in (False, True):
        with pytest.raises(ParameterError, match="clean partner"):
            PatchSampler(some, (4, 4), in_place=in_place)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("in_place", [False, True])
def test_patches_on_a_gpu_are_those_of_the_cpu(in_place: bool) -> None:
    given = items(3, target=True, masked=True)
    cpu, gpu = (PatchSampler(given, (4, 4, 4), in_place=in_place) for _ in range(2))
    gpu.to(torch.device("cuda"))
    for step in range(3):
        draws = Draws(3, step, 8)
        mine, theirs = cpu.draw(draws), gpu.draw(Draws(3, step, 8, device="cuda"))
        assert theirs.image.device.type == "cuda"
        assert theirs.target is not None
        assert mine.target is not None
        assert torch.equal(theirs.image.cpu(), mine.image)
        assert torch.equal(theirs.target.cpu(), mine.target)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_cohort_that_a_gpu_has_no_room_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    given = items(3, target=False, masked=False)
    free = sum(4 * math.prod(item.image.shape) for item in given)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    sampler = PatchSampler(given, (4, 4, 4)).to(torch.device("cuda"))
    assert sampler._voxels._image.device.type == "cpu"  # type: ignore[attr-defined]
    assert sampler.draw(Draws(0, 0, 2)).image.device.type == "cuda"
