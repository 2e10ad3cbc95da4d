from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.data.synthetic import Supply, SyntheticSampler
from meddenoise.errors import ParameterError


def supply(*, patch: tuple[int, ...] = (12, 12, 12), **options: Any) -> Supply:
    return Supply(SyntheticSampler(patch, size=24, pool=2, every=2), **options)


def images(source: Supply, steps: range, batch: int = 4) -> list[torch.Tensor]:
    return [source.draw(Draws(0, step, batch)).image for step in steps]


def portions(batch: Batch, count: int) -> list[list[float]]:
    """Of each portion the intensities of its targets, in order: no turn changes them."""
    assert batch.target is not None
    return [part.flatten().sort().values.tolist() for part in batch.target.chunk(count)]


def test_by_itself_it_gives_what_the_sampler_gives() -> None:
    alone = SyntheticSampler((12, 12, 12), size=24, pool=2, every=2)
    for step, image in enumerate(images(supply(), range(3))):
        assert torch.equal(image, alone.draw(Draws(0, step, 4)).image)


def test_workers_make_the_same_patches_every_time_and_no_two_the_same() -> None:
    one, same = (images(supply(workers=2), range(5)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    everything = torch.cat(one).flatten(1)
    assert len(torch.unique(everything, dim=0)) == len(everything)


def test_workers_take_nothing_from_the_callers_random_numbers() -> None:
    before = torch.get_rng_state()
    images(supply(workers=1), range(1))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_patch_is_for_so_many_steps_and_then_never_again() -> None:
    source = supply(reuse=2)
    seen = [portions(source.draw(Draws(0, step, 4)), 2) for step in range(4)]
    for before, after in itertools.pairwise(seen):
        assert before[1] == after[0]
        assert before[0] not in after


def test_noise_turns_with_its_image() -> None:
    source, plain = supply(reuse=2), SyntheticSampler((12, 12, 12), size=24, pool=2, every=2)
    batch, first = source.draw(Draws(0, 1, 4)), plain.draw(Draws(0, 0, 2))
    assert batch.target is not None
    assert first.target is not None
    turned, whole = (batch.image - batch.target)[:2], first.image - first.target
    assert not torch.equal(turned, whole)
    assert torch.equal(turned.flatten().sort().values, whole.flatten().sort().values)


def test_axes_of_other_lengths_keep_their_places() -> None:
    source = supply(patch=(12, 8), reuse=4)
    assert all(image.shape == (4, 1, 12, 8) for image in images(source, range(8)))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_is_resumed_goes_on_with_the_same(workers: int) -> None:
    whole = images(supply(workers=workers, reuse=2), range(6))
    resumed = images(supply(workers=workers, reuse=2), range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole[3:], resumed, strict=True))


def test_validation_is_not_of_the_workers() -> None:
    source, plain = supply(workers=1, reuse=2), SyntheticSampler((12, 12, 12), size=24, pool=2)
    looks = [source.draw(Draws(0, "validation 0", 3)).image for _ in range(2)]
    assert torch.equal(*looks)
    assert looks[0].shape == plain.draw(Draws(0, "validation 0", 3)).image.shape


def test_what_makes_no_sense() -> None:
    with pytest.raises(ParameterError, match="at least 0 workers"):
        supply(workers=-1)
    with pytest.raises(ParameterError, match="multiple"):
        supply(reuse=3).draw(Draws(0, 0, 4))
