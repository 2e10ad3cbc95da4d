"""Neighbor2Neighbor: learn from one noisy scan by predicting a voxel's neighbour."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.training.trainer import Trainer, register_trainer

__all__ = ["Neighbor2NeighborTrainer", "Neighbours", "finest_axes", "may_turn", "pick_neighbours"]

# Voxels whose sides differ by no more are taken for cubes.
_SAME_SIDE = 1.25


class Neighbours:
    """Two voxels of every cell of a batch of patches, next to each other.

    Attributes:
        first: ``(B, cells)`` int64, where the one is in the flattened patch.
        second: the other.
        grid: cells per axis.
    """

    def __init__(self, first: Tensor, second: Tensor, grid: Sequence[int]) -> None:
        self.first = first
        self.second = second
        self.grid = tuple(grid)

    def take(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Two smaller images ``(B, 1, *grid)`` from ``x`` of ``(B, 1, *patch)``."""
        flat, shape = x.flatten(1), (len(x), 1, *self.grid)
        return flat.gather(1, self.first).view(shape), flat.gather(1, self.second).view(shape)


def pick_neighbours(patch: Sequence[int], axes: Sequence[int], draws: Draws) -> Neighbours:
    """A random voxel of every cell, and a random one next to it in the cell.

    Cells are 2 voxels wide along ``axes`` and 1 along the others; what is left over at the far
    end of an odd axis belongs to none.

    Args:
        patch: voxels per axis.
        axes: along which neighbours are taken.
        draws: random numbers.

    Raises:
        ParameterError: a patch of one voxel along one of ``axes``.
    """
    if not axes or any(patch[axis] < 2 for axis in axes):
        raise ParameterError(
            f"Patches of {tuple(patch)} voxels have no neighbours along axes {tuple(axes)}: give "
            "larger data.patch, or other trainer.axes."
        )
    grid = [n // 2 if axis in axes else n for axis, n in enumerate(patch)]
    strides = torch.tensor([1, *reversed(patch)][:-1]).cumprod(0).flip(0).to(draws.device)
    steps = strides[list(axes)]
    width = torch.tensor([2 if axis in axes else 1 for axis in range(len(patch))])
    places = torch.cartesian_prod(*[torch.arange(n, device=draws.device) for n in grid])
    corner = (places.view(-1, len(patch)) * (width.to(draws.device) * strides)).sum(1)
    # One number says which of the cell's voxels and along which axis the other lies.
    drawn = draws.integers("neighbours", len(axes) * 2 ** len(axes), len(corner))
    bits = (drawn % 2 ** len(axes)).unsqueeze(-1) >> torch.arange(len(axes), device=draws.device)
    bits = bits & 1  # (B, cells, axes): upper or lower half of the cell
    first = corner + (bits * steps).sum(-1)
    along = (drawn // 2 ** len(axes)).unsqueeze(-1)
    back = 1 - 2 * bits.gather(-1, along)
    second = first + (back * steps[along]).squeeze(-1)
    return Neighbours(first, second, grid)


def finest_axes(spacings: Tensor) -> tuple[int, ...]:
    """The axes along which all scans have (nearly) their finest spacing; perhaps none.

    Args:
        spacings: ``(scans, D)`` mm.
    """
    fine = spacings <= _SAME_SIDE * spacings.amin(1, keepdim=True)
    return tuple(int(axis) for axis in fine.all(0).nonzero())


def may_turn(axes: Sequence[int] | None, dims: int) -> bool:
    """Whether quarter turns leave neighbours independent that are taken along some axes.

    They exchange axes of one spacing. Chosen by spacing, these are all taken or none; chosen by
    whoever knows the noise, one of them may be taken and another not.

    Args:
        axes: as they were given; ``None`` if they are chosen by spacing.
        dims: of a patch.
    """
    return axes is None or len(axes) == dims


@register_trainer("neighbor2neighbor")
class Neighbor2NeighborTrainer(Trainer):
    """Huang et al., "Neighbor2Neighbor", CVPR 2021; in 3-D as well.

    Two voxels next to each other see nearly the same and have other noise. From every cell two
    of them are drawn, which makes two smaller images g1(y) and g2(y) of the scan y:

        |f(g1 y) - g2 y|^2 + gamma |f(g1 y) - g2 y - (g1 f(y) - g2 f(y))|^2

    with no gradient through f(y). The second term counts that neighbours do differ; its weight
    rises with the run from 0 to ``gamma``. The network sees the voxel itself, unlike Noise2Void's,
    and inputs of an eighth of the voxels make many steps of a short training.

    Right for noise that is independent from voxel to voxel with zero mean. Where it is correlated
    along some axes but not along all, name the others by ``axes``: patches are then mirrored but
    not turned, which would bring the correlated axes in their place. It learns at half the
    resolution what it is to do at the full one: very fine structure is smoothed.

    Args:
        gamma: weight of the second term at the end of the run (the paper: 1 to 8). It costs a pass
            over the whole patch, which a short training is better without.
        axes: along which neighbours are taken, such as ``[2]``; the finest ones if null. Thick
            slices are no neighbours: cells are then 2 x 2 x 1.
    """

    def __init__(self, gamma: float = 0.0, axes: Sequence[int] | None = None) -> None:
        if gamma < 0:
            raise ParameterError(f"gamma is at least 0, not {gamma}.")
        if axes is not None and (not axes or sorted(set(axes)) != sorted(axes) or min(axes) < 0):
            raise ParameterError(f"axes are different numbers from 0 on, not {list(axes)}.")
        self.gamma = gamma
        self.axes = None if axes is None else tuple(axes)
        self.options = {"gamma": gamma, "axes": None if axes is None else list(axes)}
        self._axes = self.axes

    def look_at(self, items: Sequence[Item]) -> None:
        """Choose the axes, the same for all patches, and whether these may be turned."""
        spacings = torch.tensor([item.spacing for item in items])
        self._axes = self._chosen(spacings)
        self.turns = may_turn(self.axes, spacings.shape[1])

    def independent_axes(self, dims: int) -> tuple[int, ...]:
        """Those along which neighbours are taken."""
        return self._axes or ()

    def _chosen(self, spacings: Tensor) -> tuple[int, ...]:
        dims = spacings.shape[1]
        if self.axes is not None:
            if max(self.axes) >= dims:
                raise ConfigError(
                    f"trainer.axes {list(self.axes)} names an axis that patches of {dims} axes "
                    f"do not have: give numbers from 0 to {dims - 1}."
                )
            return self.axes
        axes = finest_axes(spacings)
        if not axes:
            raise ConfigError(
                "The scans have their finest voxels along different axes, so there is no axis of "
                "neighbours for all: train on those of one orientation, or give trainer.axes."
            )
        return axes

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The squared error to the neighbours, and what it should be without noise."""
        axes = self._axes or self._chosen(batch.spacing)
        picked = pick_neighbours(batch.image.shape[2:], axes, draws)
        given, wanted = picked.take(batch.image)
        weight = self.gamma * draws.progress
        expected: Tensor | None = None
        if weight:
            with torch.no_grad():
                one, two = picked.take(network(batch.image).float())
            expected = one - two
        difference = network(given).float() - wanted
        error = difference.square()
        if expected is not None:
            error = error + weight * (difference - expected).square()
        if batch.valid is None:
            return error.mean(), {}
        both = torch.logical_and(*picked.take(batch.valid))
        # A mean over all, not over the measured ones: so it is the mean over processes, too.
        return (error * both).mean(), {}
