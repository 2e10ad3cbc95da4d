from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.data.synthetic import SyntheticSampler
from meddenoise.data.synthetic.scanner import resolved
from meddenoise.errors import ParameterError


def sampler(*patch: int, **options: Any) -> SyntheticSampler:
    return SyntheticSampler(patch, size=32, pool=3, **options)


def batches(source: SyntheticSampler, count: int, batch: int = 4) -> list[Batch]:
    return [source.draw(Draws(0, step, batch)) for step in range(count)]


@pytest.mark.parametrize("patch", [(16, 12, 8), (24, 16)])
def test_a_batch(patch: tuple[int, ...]) -> None:
    for batch in batches(sampler(*patch), 6):
        assert batch.target is not None
        assert batch.sigma is not None
        assert batch.image.shape == batch.target.shape == (4, 1, *patch)
        assert batch.image.dtype == batch.target.dtype == torch.float32
        assert bool(torch.isfinite(batch.image).all())
        assert bool(torch.isfinite(batch.target).all())
        assert batch.spacing.shape == (4, len(patch))
        assert bool((batch.reference > 1).all())
        assert batch.sigma.tolist() == [1] * 4


def test_the_same_draws_give_the_same_batch() -> None:
    one, same = (sampler(16, 16, 16).draw(Draws(0, 5, 2)) for _ in range(2))
    other = sampler(16, 16, 16).draw(Draws(0, 6, 2))
    assert torch.equal(one.image, same.image)
    assert not torch.equal(one.image, other.image)


def test_noise_has_a_deviation_of_1() -> None:
    found = batches(sampler(16, 16, 16), 12)
    spread = torch.cat([(b.image - b.target).flatten(1).std(1) for b in found])  # type: ignore[operator]
    assert float(spread.median()) == pytest.approx(1, abs=0.12)
    assert float(spread.max()) < 2


def test_contrast_to_noise_covers_the_range() -> None:
    found = batches(sampler(16, 16, 16, ct=0.0), 12)
    reference = torch.cat([batch.reference for batch in found])
    assert float(reference.min()) < 6  # noise of more than 15 %
    assert float(reference.max()) > 50  # and of less than 2 %
    strong = sampler(16, 16, 16, ct=0.0, low=0.1, high=0.2).draw(Draws(0, 0, 8)).reference
    assert 5 <= float(strong.min()) <= float(strong.max()) <= 10


def test_slices_may_be_thick() -> None:
    ratios = torch.cat(
        [b.spacing.amax(1) / b.spacing.amin(1) for b in batches(sampler(8, 8, 8), 12)]
    )
    assert set(ratios.tolist()) == {1.0, 2.0, 3.0}


@pytest.mark.parametrize("patch", [(16, 16, 16), (16, 12)])
def test_half_of_them_see_finer_anatomies_than_their_voxels(
    patch: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def noted(image: Tensor, shape: Sequence[int]) -> Tensor:
        seen.append(image.shape[0] / shape[0])
        return resolved(image, shape)

    monkeypatch.setattr("meddenoise.data.synthetic.sampler.resolved", noted)
    batches(sampler(*patch), 12)
    assert 12 < len(seen) < 48  # of 48, and here and there a body beside its image
    assert 1 < min(seen) < 1.4 < max(seen) < 2
    # As large as an anatomy: there is nothing finer.
    seen.clear()
    batches(sampler(*[32] * len(patch)), 4)
    assert not seen


def test_zero_is_within_the_range() -> None:
    for batch in batches(sampler(16, 16, 16), 6):
        assert batch.target is not None
        low, high = torch.aminmax(batch.target.flatten(1), dim=1)
        assert bool(((low <= 1e-3) & (high >= -1e-3)).all())


def test_smaller_patches_come_from_the_same_anatomies() -> None:
    whole = sampler(16, 16, 16)
    cut = whole.cut_to((8, 8, 8))
    assert cut.pool is whole.pool
    assert cut.draw(Draws(0, 0, 2)).image.shape == (2, 1, 8, 8, 8)
    assert whole.patch == (16, 16, 16)


def test_validation_has_anatomies_of_its_own() -> None:
    held = sampler(16, 16, 16)
    held.draw(Draws(0, "validation 0", 4))
    seen = set(held.pool._made)
    held.draw(Draws(0, 0, 4))
    assert min(seen) > 10**8
    assert not seen & set(held.pool._made)


@pytest.mark.parametrize(
    ("patch", "told"), [((8, 8, 64), "larger than the anatomies"), ((8,), "2 or 3 axes")]
)
def test_impossible_patches(patch: tuple[int, ...], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        sampler(*patch)
