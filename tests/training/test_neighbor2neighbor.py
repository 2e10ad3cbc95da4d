from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.networks import build_network
from meddenoise.training import build_trainer
from meddenoise.training.neighbor2neighbor import (
    Neighbor2NeighborTrainer,
    finest_axes,
    pick_neighbours,
)


def numbered(batch: int, *shape: int) -> Tensor:
    """Every voxel's value is its index in its own patch."""
    flat = torch.arange(math.prod(shape)).view(1, 1, *shape)
    return flat.repeat(batch, 1, *(1,) * len(shape)).float()


def draws(step: int = 0, batch: int = 4, progress: float = 0.0) -> Draws:
    return Draws(0, step, batch, progress=progress)


@pytest.mark.parametrize(
    ("shape", "axes", "grid"),
    [
        ((6, 8), (0, 1), (3, 4)),
        ((6, 8), (1,), (6, 4)),
        ((6, 4, 8), (0, 1, 2), (3, 2, 4)),
        ((6, 4, 5), (0, 1), (3, 2, 5)),
        ((7, 5, 3), (0, 1, 2), (3, 2, 1)),
        ((1, 4, 4), (1, 2), (1, 2, 2)),
    ],
)
def test_two_voxels_of_each_cell_next_to_each_other(
    shape: tuple[int, ...], axes: tuple[int, ...], grid: tuple[int, ...]
) -> None:
    for step in range(5):
        one, two = pick_neighbours(shape, axes, draws(step)).take(numbered(4, *shape))
        assert one.shape == two.shape == (4, 1, *grid)
        for first, second in zip(one[:, 0].long(), two[:, 0].long(), strict=True):
            a, b = (
                np.stack(np.unravel_index(x.numpy(), shape), -1).reshape(-1, len(shape))
                for x in (first, second)
            )
            apart = np.abs(a - b)
            assert (apart.sum(1) == 1).all()  # next to each other
            assert not np.delete(apart, axes, axis=1).any()
            width = [2 if axis in axes else 1 for axis in range(len(shape))]
            cells = list(itertools.product(*(range(n) for n in grid)))
            assert (a // width == cells).all()  # each in its own cell, in order
            assert (b // width == cells).all()


def test_every_ordered_pair_is_drawn_equally_often() -> None:
    from scipy import stats

    picked = pick_neighbours((2, 2, 2), (0, 1, 2), draws(batch=24_000))
    _, counts = (8 * picked.first + picked.second).unique(return_counts=True)
    assert len(counts) == 24  # 8 voxels with 3 neighbours each
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_neighbours_are_a_function_of_seed_and_step_and_processes_share_them() -> None:
    def first(step: int, **who: int) -> Tensor:
        made = Draws(0, step, who.get("batch", 4), who.get("rank", 0), who.get("world", 1))
        return pick_neighbours((8, 8), (0, 1), made).first

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))
    halves = [first(1, batch=2, rank=rank, world=2) for rank in range(2)]
    assert torch.equal(torch.cat(halves), first(1))


@pytest.mark.parametrize(
    ("spacings", "axes"),
    [
        ([(1, 1, 1)], (0, 1, 2)),
        ([(0.5, 0.5, 5)], (0, 1)),
        ([(0.9, 1.0, 1.1)], (0, 1, 2)),
        ([(1, 1, 1.3)], (0, 1)),
        ([(3, 0.8, 0.8), (1, 1, 1)], (1, 2)),
        ([(1, 1, 4), (4, 1, 1)], (1,)),
        ([(1, 4), (4, 1)], ()),
    ],
)
def test_thick_slices_are_no_neighbours(
    spacings: list[tuple[float, ...]], axes: tuple[int, ...]
) -> None:
    assert finest_axes(torch.tensor(spacings)) == axes


def batch_of(image: Tensor, valid: Tensor | None = None, spacing: Any = None) -> Batch:
    column = torch.ones(len(image), *(1,) * (image.ndim - 1))
    size = torch.tensor(spacing or (1.0,) * (image.ndim - 2)).expand(len(image), -1)
    return Batch(image, None, valid, 0 * column, column, column.flatten(), size)


class Affine(nn.Module):
    """Remembers the shapes of what it was given."""

    def __init__(self, slope: float = 0.5, offset: float = 2.0) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))
        self.offset = offset
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shapes.append(tuple(x.shape))
        return self.slope * x + self.offset


def test_the_loss_is_the_squared_error_to_the_neighbour() -> None:
    image, network = torch.randn(4, 1, 8, 8, 6), Affine()
    given = batch_of(image, spacing=(1.0, 1.0, 3.0))
    loss, _ = Neighbor2NeighborTrainer(gamma=3).training_step(network, given, draws())
    one, two = pick_neighbours((8, 8, 6), (0, 1), draws()).take(image)
    expected = float((0.5 * one + 2 - two).square().mean())
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert network.shapes == [(4, 1, 4, 4, 6)]  # no pass over the whole patch at progress 0


def test_the_second_term_rises_and_has_no_gradient_through_the_whole_patch() -> None:
    image, network = torch.randn(4, 1, 8, 8), Affine()
    given, trainer = batch_of(image), Neighbor2NeighborTrainer(gamma=3)
    one, two = pick_neighbours((8, 8), (0, 1), draws()).take(image)
    for progress in (0.0, 0.5, 1.0):
        loss, _ = trainer.training_step(network, given, draws(progress=progress))
        (slope,) = torch.autograd.grad(loss, network.slope)
        with torch.no_grad():
            difference = 0.5 * one + 2 - two
            expected = 0.5 * (one - two)
            weight = 3 * progress
            value = difference.square() + weight * (difference - expected).square()
            steep = 2 * (difference + weight * (difference - expected)) * one
        assert loss.item() == pytest.approx(float(value.mean()), rel=1e-4)
        assert slope.item() == pytest.approx(float(steep.mean()), rel=1e-4)


def test_in_the_mean_it_is_the_error_to_the_truth_and_a_constant() -> None:
    """For a truth without detail, any network's loss is its squared error plus the variance."""
    generator = torch.Generator().manual_seed(0)
    image = 5 + 2 * torch.randn(64, 1, 32, 32, generator=generator)
    network = Affine(slope=0.3, offset=1.0)
    loss, _ = Neighbor2NeighborTrainer().training_step(network, batch_of(image), draws(batch=64))
    truth = (network(image) - 5).square().mean().item()
    assert loss.item() == pytest.approx(truth + 4, rel=0.03)


def test_pairs_with_a_voxel_that_was_not_measured_do_not_count() -> None:
    image = torch.randn(4, 1, 20, 20)
    valid = torch.rand(4, 1, 20, 20) > 0.3
    spoilt = torch.where(valid, image, 1e6)
    trainer = Neighbor2NeighborTrainer(gamma=1)
    step = draws(progress=1.0)
    loss, _ = trainer.training_step(Affine(), batch_of(spoilt, valid), step)
    assert 0 < loss.item() < 1e3
    nothing = torch.zeros_like(valid)
    loss, _ = trainer.training_step(Affine(), batch_of(spoilt, nothing), step)
    assert loss.item() == 0


def item(*spacing: float) -> Item:
    return Item(torch.zeros((4,) * len(spacing)), None, 0.0, 1.0, spacing)


def test_the_axes_are_chosen_once_for_all_scans() -> None:
    trainer, network = Neighbor2NeighborTrainer(), Affine()
    trainer.look_at([item(1.0, 1.0, 3.0), item(1.0, 1.0, 1.0)])
    trainer.training_step(network, batch_of(torch.randn(4, 1, 8, 8, 8)), draws())
    assert network.shapes == [(4, 1, 4, 4, 8)]  # though this batch is of cubes
    with pytest.raises(ConfigError, match="one orientation"):
        trainer.look_at([item(1.0, 3.0), item(3.0, 1.0)])


def test_axes_of_ones_own() -> None:
    trainer, network = Neighbor2NeighborTrainer(axes=[2]), Affine()
    trainer.look_at([item(1.0, 1.0, 3.0)])
    trainer.training_step(network, batch_of(torch.randn(4, 1, 8, 8, 8)), draws())
    assert network.shapes == [(4, 1, 8, 8, 4)]
    with pytest.raises(ConfigError, match=r"trainer.axes \[2\].*0 to 1"):
        trainer.look_at([item(1.0, 3.0)])


def test_patches_are_turned_only_where_all_axes_are_alike() -> None:
    cubes, planes = item(1.0, 1.0, 1.0), item(1.0, 1.0)
    trainer = Neighbor2NeighborTrainer()
    trainer.look_at([cubes])
    assert trainer.turns
    # Turned, the noise that is correlated along another axis would be that of neighbours.
    trainer = Neighbor2NeighborTrainer(axes=[1])
    trainer.look_at([cubes])
    assert not trainer.turns
    trainer = Neighbor2NeighborTrainer(axes=[1, 0])
    trainer.look_at([planes])
    assert trainer.turns


def test_neighbours_stay_independent_along_the_axes_of_ones_own() -> None:
    """Noise that is correlated along x, and neighbours along y."""
    noise = np.random.default_rng(0).standard_normal((66, 64)).astype(np.float32)
    seen: list[tuple[Tensor, Tensor]] = []

    class Watching(Neighbor2NeighborTrainer):
        def training_step(
            self, network: nn.Module, batch: Batch, draws: Draws
        ) -> tuple[Tensor, dict[str, Tensor]]:
            picked = pick_neighbours(batch.image.shape[2:], self._axes or (), draws)
            seen.append(picked.take(batch.image))
            return super().training_step(network, batch, draws)

    trainer = Watching(axes=[1])
    image = noise[:-2] + noise[1:-1] + noise[2:]
    network = build_network("dncnn", dims=2, depth=2, width=2)
    trainer.fit(image, network=network, patch=[32, 32], steps=20, progress=False, device="cpu")
    one, two = (torch.cat([pair[k].flatten() for pair in seen]) for k in (0, 1))
    assert abs(float(torch.corrcoef(torch.stack([one, two]))[0, 1])) < 0.05


@pytest.mark.parametrize(
    "options", [{"gamma": -1.0}, {"axes": []}, {"axes": [1, 1]}, {"axes": [-1]}]
)
def test_impossible_options(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Neighbor2NeighborTrainer(**options)


def test_a_patch_without_neighbours() -> None:
    with pytest.raises(ParameterError, match="no neighbours along axes"):
        pick_neighbours((1, 8), (0, 1), draws())


def test_by_name() -> None:
    trainer = build_trainer("neighbor2neighbor", gamma=2.0, axes=[0, 1])
    assert trainer.describe() == {"gamma": 2.0, "axes": [0, 1]}
    assert not trainer.blind
