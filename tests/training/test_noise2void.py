from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.training import Noise2VoidTrainer, build_trainer
from meddenoise.training.blind_spots import hide_voxels

SIZES = [(16, 12), (10, 9, 8), (7, 5), (32, 31, 6), (1, 20), (5, 1, 4)]


def numbered(batch: int, *shape: int) -> Tensor:
    """Every voxel's value is its index in its own patch."""
    return (
        torch.arange(math.prod(shape))
        .view(1, 1, *shape)
        .repeat(batch, 1, *(1,) * len(shape))
        .float()
    )


def draws(step: int = 0, batch: int = 4) -> Draws:
    return Draws(0, step, batch)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("percent", [0.5, 3.0, 25.0])
def test_exactly_the_drawn_voxels_are_replaced(shape: tuple[int, ...], percent: float) -> None:
    image = numbered(4, *shape)
    before = image.clone()
    spots = hide_voxels(image, draws(), percent=percent, radius=(3,) * len(shape))
    assert torch.equal(image, before)
    changed = torch.zeros(4, math.prod(shape), dtype=torch.bool).scatter_(1, spots.index, True)
    # All values differ, so a voxel that was replaced by another has another value.
    assert torch.equal((spots.image != image).flatten(1), changed)
    assert torch.equal(spots.take(image), spots.index.float())
    assert torch.equal(spots.take(spots.image), spots.image.flatten(1).gather(1, spots.index))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("percent", [0.5, 3.0, 25.0])
def test_no_voxel_is_hidden_twice_and_the_share_is_right(
    shape: tuple[int, ...], percent: float
) -> None:
    for step in range(5):
        spots = hide_voxels(
            numbered(4, *shape), draws(step), percent=percent, radius=(2,) * len(shape)
        )
        for row in spots.index:
            assert len(row.unique()) == len(row)
        if min(shape) >= 8 and percent >= 3:
            assert spots.index.shape[1] / math.prod(shape) == pytest.approx(percent / 100, rel=0.35)


def test_one_voxel_in_each_cell_and_every_place_in_it() -> None:
    seen: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for step in range(60):  # 4 %: cells of 5 x 5
        index = hide_voxels(numbered(4, 20, 15), draws(step), percent=4, radius=(3, 3)).index
        for row in index:
            x, y = np.unravel_index(row.numpy(), (20, 15))
            cells = list(zip((x // 5).tolist(), (y // 5).tolist(), strict=True))
            assert cells == list(itertools.product(range(4), range(3)))
            for cell, place in zip(
                cells, zip((x % 5).tolist(), (y % 5).tolist(), strict=True), strict=True
            ):
                seen.setdefault(cell, set()).add(place)
    assert all(len(places) == 25 for places in seen.values())


def counts_around(
    shape: tuple[int, ...], radius: tuple[int, ...], place: tuple[int, ...]
) -> dict[tuple[int, ...], int]:
    """How often each voxel replaced the one at ``place``."""
    found: dict[tuple[int, ...], int] = {}
    flat = int(np.ravel_multi_index(place, shape))
    for step in range(60):
        batch = Draws(0, step, 2000)
        spots = hide_voxels(
            numbered(2000, *shape), batch, percent=100 / math.prod(shape), radius=radius
        )
        here = spots.index[:, 0] == flat
        for value in spots.take(spots.image)[here, 0].long().tolist():
            source = tuple(int(c) for c in np.unravel_index(value, shape))
            found[source] = found.get(source, 0) + 1
    return found


@pytest.mark.parametrize(
    ("shape", "radius", "place"),
    [
        ((7, 7), (2, 2), (3, 3)),  # all of the window
        ((7, 7), (2, 2), (0, 0)),  # at a corner
        ((7, 7), (2, 2), (5, 1)),  # at two borders
        ((7, 5), (3, 0), (1, 2)),  # along one axis only
        ((3, 4, 5), (1, 1, 1), (1, 2, 4)),
    ],
)
def test_the_replacement_is_uniform_over_the_window_without_its_centre(
    shape: tuple[int, ...], radius: tuple[int, ...], place: tuple[int, ...]
) -> None:
    found = counts_around(shape, radius, place)
    window = set(
        itertools.product(
            *(
                range(max(0, p - r), min(n - 1, p + r) + 1)
                for p, r, n in zip(place, radius, shape, strict=True)
            )
        )
    ) - {place}
    assert set(found) == window
    assert sum(found.values()) > 1000
    assert stats.chisquare(list(found.values())).pvalue > 1e-3


@pytest.mark.parametrize("replacement", ["mean", "median"])
@pytest.mark.parametrize("shape", SIZES)
def test_the_mean_or_median_of_the_window_without_its_centre(
    shape: tuple[int, ...], replacement: str
) -> None:
    image = torch.randn(3, 1, *shape)
    radius = (2, 1, 3)[: len(shape)]
    for reach in (radius, torch.tensor([radius, (1,) * len(shape), (2,) * len(shape)])):
        spots = hide_voxels(image, draws(batch=3), percent=5, radius=reach, replacement=replacement)  # type: ignore[arg-type]
        wide = torch.as_tensor(reach).expand(3, -1)
        for row, index in enumerate(spots.index):
            for flat in index.tolist():
                centre = np.unravel_index(flat, shape)
                cut = tuple(
                    slice(max(int(c) - r, 0), int(c) + r + 1)
                    for c, r in zip(centre, wide[row].tolist(), strict=True)
                )
                window = image[row, 0].numpy()[cut].ravel()
                hidden = np.ravel_multi_index(
                    tuple(int(c) - s.start for c, s in zip(centre, cut, strict=True)),
                    image[row, 0].numpy()[cut].shape,
                )
                expected = getattr(np, replacement)(np.delete(window, hidden))
                assert float(spots.image[row].flatten()[flat]) == pytest.approx(expected, abs=1e-5)
    left = torch.ones(3, math.prod(shape), dtype=torch.bool).scatter_(1, spots.index, False)
    assert torch.equal(spots.image.flatten(1)[left], image.flatten(1)[left])


def test_a_constant_image_is_masked_too_and_trains() -> None:
    image = torch.full((4, 1, 12, 12), 5.0)
    spots = hide_voxels(image, draws(), percent=3, radius=(5, 5))
    assert torch.equal(spots.image, image)
    assert spots.index.shape[1] > 1
    loss, _ = Noise2VoidTrainer().training_step(nn.Identity(), batch_of(image), draws())
    assert float(loss) == 0


def test_a_voxel_without_neighbours_is_an_error() -> None:
    for shape, radius in (((1, 1), (5, 5)), ((1, 9), (5, 0))):
        with pytest.raises(ParameterError, match="no neighbours"):
            hide_voxels(numbered(4, *shape), draws(), percent=3, radius=radius)


def test_the_spots_are_a_function_of_seed_and_step() -> None:
    def index(step: int) -> Tensor:
        return hide_voxels(numbered(4, 20, 20), draws(step), percent=3, radius=(5, 5)).index

    assert torch.equal(index(1), index(1))
    assert not torch.equal(index(1), index(2))


@pytest.mark.parametrize(
    ("window", "spacing", "radius"),
    [
        (11, (1, 1, 1), (5, 5, 5)),
        (11, (1, 1, 3), (5, 5, 1)),
        (11, (0.5, 0.5, 5), (5, 5, 0)),
        (3, (1, 1, 1.2), (1, 1, 0)),
        (11, (0.1, 0.1, 0.1), (5, 5, 5)),
        (5, (1.35, 1.35), (2, 2)),
    ],
)
def test_the_window_covers_the_same_millimetres_on_every_axis(
    window: int, spacing: tuple[float, ...], radius: tuple[int, ...]
) -> None:
    found = Noise2VoidTrainer(window=window).radius(torch.tensor([spacing, spacing]))
    assert found.tolist() == [list(radius)] * 2


def test_thick_slices_are_left_out_of_the_window() -> None:
    image = numbered(4, 12, 12, 6)
    # The first two scans have thick slices, the others cubes.
    spacing = torch.tensor([[1, 1, 6], [1, 1, 6], [1, 1, 1], [1, 1, 1.0]])
    spots = hide_voxels(image, draws(), percent=3, radius=Noise2VoidTrainer().radius(spacing))
    from_same_slice = spots.take(spots.image).long() % 6 == spots.index % 6
    assert from_same_slice[:2].all()
    assert from_same_slice[2:].float().mean() < 0.5


def batch_of(image: Tensor, valid: Tensor | None = None) -> Batch:
    column = torch.ones(len(image), 1, 1, 1)
    spacing = torch.ones(len(image), 2)
    return Batch(image, None, valid, 0 * column, column, column.flatten(), spacing)


class Asked(nn.Module):
    """Keeps what it was given, and answers with a constant."""

    def forward(self, x: Tensor) -> Tensor:
        self.given = x
        return torch.full_like(x, 7.0)


def test_the_loss_is_the_squared_error_at_hidden_voxels_only() -> None:
    image, network, trainer = torch.randn(4, 1, 20, 20), Asked(), Noise2VoidTrainer(mask_percent=2)
    loss, terms = trainer.training_step(network, batch_of(image), draws())
    spots = hide_voxels(image, draws(), percent=2, radius=(5, 5))
    assert torch.equal(network.given, spots.image)
    assert float(loss) == pytest.approx(float((7 - spots.take(image)).square().mean()))
    assert terms == {}


def test_voxels_that_were_not_measured_do_not_count() -> None:
    image = torch.randn(4, 1, 20, 20)
    valid = torch.rand(4, 1, 20, 20) > 0.5
    image[~valid] = 1e6
    loss, _ = Noise2VoidTrainer().training_step(Asked(), batch_of(image, valid), draws())
    assert 0 < float(loss) < 1e3
    nothing = torch.zeros_like(valid)
    loss, _ = Noise2VoidTrainer().training_step(Asked(), batch_of(image, nothing), draws())
    assert float(loss) == 0


@pytest.mark.parametrize(
    "options",
    [{"mask_percent": 0}, {"mask_percent": 26}, {"window": 4}, {"window": 1}, {"replacement": "x"}],
)
def test_impossible_options(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Noise2VoidTrainer(**options)


def test_by_name() -> None:
    trainer = build_trainer("noise2void", window=5)
    assert trainer.describe()["window"] == 5
    assert build_trainer("noise2void").describe()["window"] == 11
    assert build_trainer("noise2void", replacement="median").describe()["window"] == 5
    with pytest.raises(ConfigError, match="'uniform', 'mean' or 'median'"):
        build_trainer("noise2void", replacement="mode")
    with pytest.raises(ConfigError, match=r"trainer\.windw is no key here .*did you mean 'window'"):
        build_trainer("noise2void", windw=5)
