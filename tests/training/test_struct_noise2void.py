from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.training import StructNoise2VoidTrainer, build_trainer
from meddenoise.training.blind_spots import draw_spots
from meddenoise.training.struct_noise2void import hide_boxes


def numbered(batch: int, *shape: int) -> Tensor:
    """Every voxel's value is its index in its own patch."""
    flat = torch.arange(math.prod(shape)).view(1, 1, *shape)
    return flat.repeat(batch, 1, *(1,) * len(shape)).float()


def draws(step: int = 0, batch: int = 4) -> Draws:
    return Draws(0, step, batch)


def reach(*radius: int, batch: int = 4) -> Tensor:
    return torch.tensor(radius).expand(batch, -1)


@pytest.mark.parametrize(
    ("shape", "extents", "radius"),
    [
        ((20, 16), (2, 0), (5, 5)),
        ((20, 16), (1, 1), (2, 2)),
        ((12, 10, 8), (2, 0, 1), (5, 5, 1)),
        ((12, 10, 8), (0, 3, 0), (0, 1, 0)),  # the window grows beyond the box
        ((6, 5), (2, 0), (5, 5)),  # the least patch
    ],
)
@pytest.mark.parametrize("percent", [3.0, 30.0])
def test_exactly_the_boxes_are_replaced_and_from_outside_of_them(
    shape: tuple[int, ...], extents: tuple[int, ...], radius: tuple[int, ...], percent: float
) -> None:
    image = numbered(4, *shape)
    before = image.clone()
    box = math.prod(2 * e + 1 for e in extents)
    spots = hide_boxes(image, draws(), percent=percent, extents=extents, radius=reach(*radius))
    assert torch.equal(image, before)
    centres = draw_spots(shape, draws(), percent=percent / box)
    for row in range(4):
        index = np.ravel_multi_index(tuple(centres[row].numpy().T), shape)
        assert spots.index[row].tolist() == index.tolist()
        owners: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for centre in map(tuple, centres[row].tolist()):
            ranges = (range(max(c - e, 0), min(c + e, n - 1) + 1)
                      for c, e, n in zip(centre, extents, shape, strict=True))  # fmt: skip
            for place in itertools.product(*ranges):
                owners.setdefault(place, []).append(centre)
        changed = np.argwhere((spots.image[row, 0] != image[row, 0]).numpy())
        # All values differ, and a source is never in the box: so each replaced voxel has changed,
        # but for one that another's box brought its own value.
        assert set(map(tuple, changed.tolist())) <= set(owners)
        assert len(changed) >= 0.9 * len(owners)
        for place, theirs in owners.items():
            value = int(spots.image[row, 0][place])
            source = np.unravel_index(value, shape)
            assert any(
                any(abs(int(s) - c) > e for s, c, e in zip(source, centre, extents, strict=True))
                and all(
                    abs(int(s) - c) <= max(r, e + 1 if e else 0)
                    for s, c, r, e in zip(source, centre, radius, extents, strict=True)
                )
                for centre in theirs
            )


def test_the_share_counts_the_boxes() -> None:
    spots = hide_boxes(numbered(4, 60, 60), draws(), percent=10, extents=(2, 0), radius=reach(5, 5))
    share = (spots.image != numbered(4, 60, 60)).float().mean()
    assert share.item() == pytest.approx(0.1, rel=0.2)
    assert spots.index.shape[1] / 3600 == pytest.approx(0.02, rel=0.2)


def test_sources_lie_on_both_sides_and_everywhere() -> None:
    shape, found = (11, 5), set()
    for step in range(10):
        spots = hide_boxes(
            numbered(1000, *shape),
            draws(step, batch=1000),
            percent=1,
            extents=(1, 0),
            radius=reach(4, 1, batch=1000),
        )
        middle = spots.index[:, 0] == 5 * 5 + 2
        for value in spots.image[middle, 0, 5, 2].long().tolist():
            found.add(tuple(int(c) for c in np.unravel_index(value, shape)))
    beyond = [x for x in range(1, 10) if abs(x - 5) > 1]
    assert found == set(itertools.product(beyond, (1, 2, 3)))


def batch_of(image: Tensor, valid: Tensor | None = None) -> Batch:
    column = torch.ones(len(image), *(1,) * (image.ndim - 1))
    spacing = torch.ones(len(image), image.ndim - 2)
    return Batch(image, None, valid, 0 * column, column, column.flatten(), spacing)


def test_the_loss_is_the_squared_error_at_the_centres_only() -> None:
    image = torch.randn(4, 1, 20, 20)
    trainer = StructNoise2VoidTrainer(extents=[0, 2])
    loss, _ = trainer.training_step(nn.Identity(), batch_of(image), draws())
    spots = hide_boxes(image, draws(), percent=10, extents=(0, 2), radius=reach(5, 5))
    expected = (spots.take(spots.image) - spots.take(image)).square().mean()
    assert loss.item() == pytest.approx(expected.item())
    nothing = torch.zeros_like(image, dtype=torch.bool)
    assert trainer.training_step(nn.Identity(), batch_of(image, nothing), draws())[0].item() == 0


def test_the_noise_of_a_hidden_voxel_is_nowhere_in_the_input() -> None:
    """Noise that is the same in pairs along x: Noise2Void finds the partner, this one does not."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(16, 1, 64, 64, generator=generator)
    image = (noise + noise.roll(1, 2)) / 2**0.5  # correlation 0.5 with the next along x

    def least(trainer: Any) -> float:
        """The least squared error that a guess from both neighbours along x can have."""
        spots = trainer.hide(batch_of(image), draws(batch=16))
        wanted = spots.take(image)
        around = spots.image.roll(1, 2) + spots.image.roll(-1, 2)
        guess = spots.take(around)
        slope = (guess * wanted).mean() / guess.square().mean()
        return float((wanted - slope * guess).square().mean() / wanted.square().mean())

    assert least(build_trainer("noise2void")) < 0.8
    assert least(StructNoise2VoidTrainer(extents=[1, 0])) > 0.99


def item(axis: int | None, *shape: int) -> Item:
    """Nothing but noise, correlated along one axis."""
    noise = np.random.default_rng(0).normal(size=shape)
    if axis is not None:
        noise = gaussian_filter1d(noise, 0.7, axis=axis)
    image = torch.from_numpy(noise.astype(np.float32))
    return Item(image, None, 0.0, 1.0, (1.0,) * len(shape))


@pytest.mark.parametrize("axis", [0, 1])
def test_auto_finds_the_direction(axis: int) -> None:
    trainer = StructNoise2VoidTrainer()
    trainer.look_at([item(axis, 96, 96), item(axis, 80, 96)])
    found = trainer._found
    assert found is not None
    assert found[axis] >= 1
    assert found[1 - axis] == 0
    trainer.training_step(nn.Identity(), batch_of(torch.randn(4, 1, 20, 20)), draws())
    assert trainer.describe()["extents"] == "auto"


def test_independent_noise_has_no_direction() -> None:
    with pytest.raises(ConfigError, match="take noise2void"):
        StructNoise2VoidTrainer().look_at([item(None, 96, 96)])


def test_scans_that_are_too_small_to_tell() -> None:
    with pytest.raises(ConfigError, match=r"too small.*give trainer.extents"):
        StructNoise2VoidTrainer().look_at([item(None, 4, 4)])


def test_as_many_extents_as_axes() -> None:
    with pytest.raises(ConfigError, match=r"trainer.extents has 3 numbers and data.patch 2"):
        StructNoise2VoidTrainer(extents=[1, 0, 0]).look_at([item(None, 20, 20)])


def test_a_patch_smaller_than_the_box() -> None:
    with pytest.raises(ParameterError, match=r"give larger data.patch"):
        hide_boxes(numbered(4, 5, 20), draws(), percent=3, extents=(2, 0), radius=reach(5, 5))


def test_turned_noise_is_other_noise() -> None:
    assert not StructNoise2VoidTrainer.turns
    image = np.random.default_rng(0).normal(size=(24, 24)).astype(np.float32)
    seen: list[Tensor] = []

    class Watched(StructNoise2VoidTrainer):
        def hide(self, batch: Batch, draws: Draws) -> Any:
            seen.append(batch.image)
            return super().hide(batch, draws)

    whole = torch.from_numpy(image)
    Watched(extents=[1, 0]).fit(
        image, patch=[24, 24], steps=8, batch=4, device="cpu", validate_batches=1,
        data={"normalise": {"method": "fixed"}},
    )  # fmt: skip
    for patch in torch.cat(seen)[:, 0]:
        mirrored = [whole.flip(axes) for axes in ([], [0], [1], [0, 1])]
        assert any(torch.equal(patch, one) for one in mirrored)


@pytest.mark.parametrize("extents", [[0, 0], [-1, 1], []])
def test_impossible_extents(extents: list[int]) -> None:
    with pytest.raises(ParameterError, match="take noise2void"):
        StructNoise2VoidTrainer(extents=extents)
