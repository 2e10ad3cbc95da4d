from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.training import build_trainer
from meddenoise.training.zs_n2n import ZSN2NTrainer, diagonal_means


def draws(step: int = 0, batch: int = 4) -> Draws:
    return Draws(0, step, batch)


def batch_of(image: Tensor, valid: Tensor | None = None, spacing: Any = None) -> Batch:
    column = torch.ones(len(image), *(1,) * (image.ndim - 1))
    size = torch.tensor(spacing or (1.0,) * (image.ndim - 2)).expand(len(image), -1)
    return Batch(image, None, valid, 0 * column, column, column.flatten(), size)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((4, 6), (0, 1)), ((5, 7), (0, 1)), ((4, 6, 2), (0, 1, 2)), ((4, 3, 6), (0, 2))],
)
def test_the_means_across_the_cells(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = torch.randn(2, 1, *shape)
    means = diagonal_means(x, axes)
    grid = [n // 2 if axis in axes else n for axis, n in enumerate(shape)]
    assert means.shape == (2, 2 ** (len(axes) - 1), *grid)
    for cell in itertools.product(*(range(n) for n in grid)):
        corner = [2 * c if axis in axes else c for axis, c in enumerate(cell)]
        expected = []
        for ends in itertools.product((0, 1), repeat=len(axes) - 1):
            one, two = list(corner), list(corner)
            for axis, end in zip(axes, (0, *ends), strict=True):
                one[axis] += end
                two[axis] += 1 - end
            expected.append((x[(0, 0, *one)] + x[(0, 0, *two)]) / 2)
        torch.testing.assert_close(means[(0, slice(None), *cell)], torch.stack(expected))


def test_diagonals_share_no_voxel_and_have_one_middle() -> None:
    ramp = torch.linspace(0, 1, 8)[:, None, None] + torch.arange(6.0)[:, None] + torch.arange(4.0)
    means = diagonal_means(ramp[None, None], (0, 1, 2))
    assert torch.allclose(means, means[:, :1].expand_as(means))  # a ramp has no detail
    noise = diagonal_means(torch.randn(1, 1, 40, 40, 40), (0, 1, 2))[0].flatten(1)
    torch.testing.assert_close(noise.cov(), 0.5 * torch.eye(4), atol=0.03, rtol=0)


class Affine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.slope * x + 2


def test_the_loss_of_two_axes_is_the_formula() -> None:
    image, network = torch.randn(4, 1, 8, 6), Affine()
    loss, _ = ZSN2NTrainer().training_step(network, batch_of(image), draws())
    one, two = diagonal_means(image, (0, 1)).split(1, dim=1)
    down = diagonal_means(network(image), (0, 1)).split(1, dim=1)
    expected = (
        (network(one) - two).square()
        + (network(two) - one).square()
        + (network(one) - down[0]).square()
        + (network(two) - down[1]).square()
    ).mean() / 2
    torch.testing.assert_close(loss, expected)
    # The gradient goes through the whole patch as well.
    gradient = torch.autograd.grad(loss, network.slope)[0]
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, network.slope)[0])


def test_two_different_diagonals_of_four() -> None:
    seen = set()

    class Watched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            self.seen = x if x.shape[-1] == 2 else self.seen
            return x

    for step in range(20):
        image, network = torch.randn(4, 1, 4, 4, 4), Watched()
        ZSN2NTrainer().training_step(network, batch_of(image), draws(step))
        means = diagonal_means(image, (0, 1, 2))
        for row in range(4):
            which = [
                next(d for d in range(4) if torch.equal(means[row, d], half[row, 0]))
                for half in network.seen.chunk(2)
            ]
            assert which[0] != which[1]
            seen.add(tuple(which))
    assert len(seen) == 12


def test_cells_with_a_voxel_that_was_not_measured_do_not_count() -> None:
    image = torch.randn(4, 1, 20, 20)
    valid = torch.rand(image.shape) > 0.2
    spoilt = torch.where(valid, image, 1e6)
    loss, _ = ZSN2NTrainer().training_step(nn.Identity(), batch_of(spoilt, valid), draws())
    assert 0 < loss.item() < 1e2
    nothing = torch.zeros_like(valid)
    assert ZSN2NTrainer().training_step(
        nn.Identity(), batch_of(spoilt, nothing), draws()
    )[0].item() == 0  # fmt: skip


def item(*spacing: float) -> Item:
    return Item(torch.zeros((4,) * len(spacing)), None, 0.0, 1.0, spacing)


def test_thick_slices_are_left_alone() -> None:
    trainer, shapes = ZSN2NTrainer(), []

    class Watched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            shapes.append(tuple(x.shape[2:]))
            return x

    trainer.look_at([item(1.0, 1.0, 3.0)])
    trainer.training_step(Watched(), batch_of(torch.randn(4, 1, 8, 8, 4)), draws())
    assert shapes == [(4, 4, 4), (8, 8, 4)]


def test_patches_are_not_turned_where_an_axis_is_left_out() -> None:
    cubes = [item(1.0, 1.0, 1.0)]
    for axes, turns in ((None, True), ([0, 1, 2], True), ([0, 2], False)):
        trainer = ZSN2NTrainer(axes=axes)
        trainer.look_at(cubes)
        assert trainer.turns == turns


@pytest.mark.parametrize("spacing", [(1.0, 3.0), (1.0, 3.0, 3.0)])
def test_one_fine_axis_has_no_diagonals(spacing: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="take neighbor2neighbor"):
        ZSN2NTrainer().look_at([item(*spacing)])


def test_a_patch_without_diagonals() -> None:
    with pytest.raises(ParameterError, match="no diagonals"):
        ZSN2NTrainer().training_step(nn.Identity(), batch_of(torch.randn(4, 1, 1, 8)), draws())


@pytest.mark.parametrize("axes", [[0], [1, 1], [-1, 0], []])
def test_impossible_axes(axes: list[int]) -> None:
    with pytest.raises(ParameterError, match="at least two different"):
        build_trainer("zs_n2n", axes=axes)
