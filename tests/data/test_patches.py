from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Item, PatchSampler
from meddenoise.errors import ParameterError


def item(
    *shape: int,
    first: int = 0,
    spacing: Sequence[float] | None = None,
    target: bool = False,
    valid: torch.Tensor | None = None,
    shift: float = 0.0,
    scale: float = 1.0,
    reference: float = 1.0,
) -> Item:
    """Every voxel's value says where it is: its row-major index, from ``first`` on."""
    image = torch.arange(first, first + int(np.prod(shape))).view(shape).float()
    clean = -image if target else None
    size = tuple(spacing or (1.0,) * len(shape))
    return Item(image, clean, shift, scale, size, reference, valid)


def draws(step: int = 0, batch: int = 16, rank: int = 0, world: int = 1) -> Draws:
    return Draws(0, step, batch, rank, world)


def crops(shape: Sequence[int], patch: Sequence[int]) -> dict[bytes, tuple[str, np.ndarray]]:
    """Every sub-volume in every mirror image and order of axes, by its bytes."""
    import itertools

    whole = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = {}
    dims = len(shape)
    for corner in itertools.product(*(range(s - p + 1) for s, p in zip(shape, patch, strict=True))):
        crop = whole[tuple(slice(c, c + p) for c, p in zip(corner, patch, strict=True))]
        for flips in itertools.product((1, -1), repeat=dims):
            flipped = crop[tuple(slice(None, None, f) for f in flips)]
            for order in itertools.permutations(range(dims)):
                turned = np.ascontiguousarray(flipped.transpose(order))
                if turned.shape == tuple(patch):
                    found[turned.tobytes()] = (f"{flips} {order}", turned)
    return found


@pytest.mark.parametrize("augment", ["none", "flips", "rotations"])
@pytest.mark.parametrize(("shape", "patch"), [((6, 5, 4), (3, 3, 3)), ((7, 6), (4, 4))])
def test_patches_are_crops_flips_and_turns(
    shape: tuple[int, ...], patch: tuple[int, ...], augment: str
) -> None:
    expected = crops(shape, patch)
    identity = f"{(1,) * len(shape)} {tuple(range(len(shape)))}"
    seen = set()
    batch = PatchSampler([item(*shape)], patch, augment=augment).draw(draws(batch=600)).image
    for image in batch[:, 0].numpy():
        seen.add(expected[image.tobytes()][0])  # a KeyError is a patch that is in no crop
    dims = len(shape)
    turns = {2: 2, 3: 6}[dims]
    counts = {"none": 1, "flips": 2**dims, "rotations": 2**dims * turns}
    assert len(seen) == counts[augment]
    if augment == "none":
        assert seen == {identity}


def test_every_corner_is_reached_and_about_equally_often() -> None:
    batch = PatchSampler([item(6, 5)], (4, 4), augment="none").draw(draws(batch=6000)).image
    corners, counts = batch[:, 0, 0, 0].unique(return_counts=True)
    assert corners.tolist() == [0, 1, 5, 6, 10, 11]
    assert int(counts.min()) > 850
    assert int(counts.max()) < 1150


def test_target_and_mask_move_with_the_image() -> None:
    valid = torch.rand(8, 7, 6, generator=torch.Generator().manual_seed(0)) > 0.3
    given = item(8, 7, 6, target=True, valid=valid)
    batch = PatchSampler([given], (4, 4, 4)).draw(draws(batch=64))
    assert batch.target is not None
    assert batch.valid is not None
    assert torch.equal(batch.target, -batch.image)
    assert torch.equal(batch.valid, valid.flatten()[batch.image.long()])
    assert batch.valid.dtype == torch.bool


def test_patches_stay_within_one_of_several_volumes() -> None:
    shapes = [(9, 5, 4), (4, 11, 6), (5, 4, 13)]
    firsts = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])
    items = [item(*s, first=int(f)) for s, f in zip(shapes, firsts, strict=False)]
    batch = PatchSampler(items, (3, 3, 3), augment="none").draw(draws(batch=900)).image[:, 0].long()
    which = torch.bucketize(batch.flatten(1), torch.tensor(firsts[1:]), right=True)
    assert torch.equal(which.amin(1), which.amax(1))
    for number, (shape, first) in enumerate(zip(shapes, firsts, strict=False)):
        for patch in batch[which[:, 0] == number]:
            place = np.unravel_index((patch - int(first)).numpy(), shape)
            for axis, coordinate in enumerate(place):
                spread = coordinate - coordinate.min()
                expected = np.arange(3).reshape([-1 if a == axis else 1 for a in range(3)])
                assert np.array_equal(spread, np.broadcast_to(expected, (3, 3, 3)))
    # A scan is drawn from by its voxels.
    shares = torch.bincount(which[:, 0]) / len(which)
    assert shares.numpy() == pytest.approx(np.diff(firsts) / firsts[-1], abs=0.05)


def test_each_patch_has_the_numbers_of_its_own_scan() -> None:
    items = [
        item(4, 4, shift=2.0, scale=4.0, reference=10.0, spacing=(1, 2), target=True),
        item(4, 4, first=100, shift=-1.0, scale=0.5, reference=20.0, target=True),
    ]
    batch = PatchSampler(items, (2, 2)).draw(draws(batch=40))
    raw = batch.image * batch.scale + batch.shift
    second = raw[:, 0, 0, 0] >= 100
    assert 0 < int(second.sum()) < 40
    assert torch.equal(batch.reference, torch.where(second, 20.0, 10.0))
    assert torch.equal(batch.shift.flatten(), torch.where(second, -1.0, 2.0))
    assert torch.equal(batch.spacing[:, 1], torch.where(second, 1.0, 2.0))
    assert batch.target is not None
    assert torch.allclose(batch.target * batch.scale + batch.shift, -raw)


def test_the_middle_turns_only_in_planes_of_equal_voxels() -> None:
    def orders(spacing: Sequence[float], patch: Sequence[int]) -> int:
        return len(PatchSampler([item(9, 9, 9, spacing=spacing)], patch)._orders)

    assert orders((1, 1, 1), (4, 4, 4)) == 6
    assert orders((1, 1, 3), (4, 4, 4)) == 2
    assert orders((1, 1.04, 3), (4, 4, 4)) == 2
    assert orders((1, 1.1, 3), (4, 4, 4)) == 1
    assert orders((1, 1, 1), (4, 4, 2)) == 2
    assert orders((2, 1, 1), (4, 4, 2)) == 1


def test_every_scan_has_a_say_in_the_turns() -> None:
    cubes, slabs = item(9, 9, 9), item(9, 9, 9, spacing=(1, 1, 3))
    for items in ([cubes, slabs], [slabs, cubes]):
        assert len(PatchSampler(items, (4, 4, 4))._orders) == 2


def test_patches_shrink_to_the_smallest_scan() -> None:
    sampler = PatchSampler([item(9, 9, 3), item(5, 9, 9)], (8, 8, 8))
    assert sampler.patch == (5, 8, 3)
    assert sampler.draw(draws(batch=3)).image.shape == (3, 1, 5, 8, 3)


def test_patches_of_another_size_of_the_same_scans() -> None:
    sampler = PatchSampler([item(9, 9, 5)], (8, 8, 4), augment="rotations")
    small = sampler.cut_to((4, 4, 4))
    shape = small.draw(draws(batch=2)).image.shape
    assert shape == (2, 1, 4, 4, 4)
    assert sampler.draw(draws(batch=2)).image.shape == (2, 1, 8, 8, 4)
    # Equal sizes turn in all planes, unequal ones in one.
    assert len(small._orders) == 6
    assert len(sampler._orders) == 2
    assert small._voxels is sampler._voxels
    for wrong in ((10, 4, 4), (4, 4)):
        with pytest.raises(ParameterError, match="does not fit into every scan"):
            sampler.cut_to(wrong)


def test_the_same_scans_unturned_are_in_memory_once() -> None:
    items = [item(6, 6, 6), item(5, 6, 7, first=1000)]
    sampler = PatchSampler(items, (3, 3, 3))
    plain, other = sampler.unturned(), PatchSampler(items, (3, 3, 3), augment="none")
    assert torch.equal(plain.draw(draws()).image, other.draw(draws()).image)
    assert plain._voxels is sampler._voxels
    assert not torch.equal(sampler.draw(draws()).image, other.draw(draws()).image)


def test_a_scan_of_one_voxel() -> None:
    assert PatchSampler([item(1, 1)], (4, 4)).draw(draws(batch=2)).image.tolist() == [[[[0.0]]]] * 2


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    one, two = (PatchSampler([item(9, 9, 9)], (4, 4, 4)) for _ in range(2))
    two.draw(draws(step=7))  # what was drawn before does not matter
    assert torch.equal(one.draw(draws(step=3)).image, two.draw(draws(step=3)).image)
    assert not torch.equal(one.draw(draws(step=3)).image, one.draw(draws(step=4)).image)
    assert not torch.equal(one.draw(Draws(1, 3, 16)).image, one.draw(draws(step=3)).image)


def test_processes_share_the_rows_of_one_batch() -> None:
    sampler = PatchSampler([item(9, 9, 9), item(8, 12, 10, first=1000)], (4, 4, 4))
    whole = sampler.draw(draws(batch=6)).image
    parts = [sampler.draw(draws(batch=2, rank=rank, world=3)).image for rank in range(3)]
    assert torch.equal(torch.cat(parts), whole)


def test_a_batch_is_a_copy() -> None:
    given = item(4, 4)
    sampler = PatchSampler([given], (4, 4), augment="none")
    sampler.draw(draws(batch=1)).image.zero_()
    assert sampler.draw(draws(batch=1)).image.max() == 15
    assert given.image.max() == 15


def test_scans_with_and_without_masks_together() -> None:
    masked = item(4, 4, first=100, valid=torch.zeros(4, 4, dtype=torch.bool))
    batch = PatchSampler([item(4, 4), masked], (2, 2)).draw(draws(batch=20))
    assert batch.valid is not None
    assert torch.equal(batch.valid, batch.image < 100)


def test_what_cannot_be_drawn_from() -> None:
    with pytest.raises(ParameterError, match="no scan"):
        PatchSampler([], (4, 4))
    with pytest.raises(ParameterError, match="has 2 axes and the patch 3"):
        PatchSampler([item(4, 4)], (4, 4, 4))
    with pytest.raises(ParameterError, match="clean partner"):
        PatchSampler([item(4, 4), item(4, 4, target=True)], (2, 2))
