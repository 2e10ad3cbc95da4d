"""ZS-N2N: a small network trained on one scan by predicting one diagonal of a cell from another."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.training.neighbor2neighbor import finest_axes, may_turn
from meddenoise.training.trainer import Trainer, register_trainer

__all__ = ["ZSN2NTrainer", "diagonal_means"]


def diagonal_means(x: Tensor, axes: Sequence[int]) -> Tensor:
    """The mean of both ends of each diagonal of each cell.

    Args:
        x: ``(B, 1, *patch)``, floating point.
        axes: along which cells are 2 voxels wide; 1 along the others.

    Returns:
        ``(B, diagonals, *grid)``: 2 diagonals for two axes, 4 for three. What is left over at the
        far end of an odd axis belongs to no cell.
    """
    means = []
    for ends in itertools.product((0, 1), repeat=len(axes) - 1):
        one, other = [slice(None)] * x.ndim, [slice(None)] * x.ndim
        for axis, end in zip(axes, (0, *ends), strict=True):
            even = x.shape[2 + axis] // 2 * 2
            one[2 + axis], other[2 + axis] = slice(end, even, 2), slice(1 - end, even, 2)
        means.append((x[tuple(one)] + x[tuple(other)]) / 2)
    return torch.cat(means, dim=1)


@register_trainer("zs_n2n")
class ZSN2NTrainer(Trainer):
    """Mansour and Heckel, "Zero-Shot Noise2Noise", CVPR 2023; in 3-D as well.

    The mean of two voxels across a cell's diagonal lies in the middle of the cell, and so does
    that of another diagonal: two smaller images D1(y) and D2(y) of the same with independent
    noise. With f(y) the denoised scan,

        |f(D1 y) - D2 y|^2 + |f(D2 y) - D1 y|^2 + |f(D1 y) - D1 f(y)|^2 + |f(D2 y) - D2 f(y)|^2

    over 2. In 3-D, two of a cell's four diagonals are drawn for every patch.

    Right for noise that is independent from voxel to voxel with zero mean, and for a small network
    that predicts the noise (the paper's has two hidden convolutions: ``network: {name: dncnn,
    depth: 3, width: 48}``). Such a network is trained in a minute and smooths fine structure; with
    more time, others do better.

    Args:
        axes: along which cells are 2 voxels wide, at least two; the finest ones if null. Patches
            are not turned where an axis is left out: its noise may be correlated.
    """

    def __init__(self, axes: Sequence[int] | None = None) -> None:
        if axes is not None and (len(axes) < 2 or len(set(axes)) < len(axes) or min(axes) < 0):
            raise ParameterError(
                f"axes are at least two different numbers from 0 on, not {list(axes)}."
            )
        self.axes = None if axes is None else tuple(axes)
        self.options: dict[str, Any] = {"axes": None if axes is None else list(axes)}
        self._axes = self.axes

    def look_at(self, items: Sequence[Item]) -> None:
        """Choose the axes, the same for all patches, and whether these may be turned."""
        spacings = torch.tensor([item.spacing for item in items])
        self._axes = self._chosen(spacings)
        self.turns = may_turn(self.axes, spacings.shape[1])

    def independent_axes(self, dims: int) -> tuple[int, ...]:
        """Those of its cells."""
        return self._axes or ()

    def _chosen(self, spacings: Tensor) -> tuple[int, ...]:
        axes = self.axes or finest_axes(spacings)
        if len(axes) < 2 or max(axes) >= spacings.shape[1]:
            raise ConfigError(
                f"Cells need two axes of equal spacing at least, and there are {list(axes)} of "
                f"{spacings.shape[1]}: give trainer.axes, or take neighbor2neighbor."
            )
        return axes

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Both diagonals from each other, and the same before and after down-sampling."""
        axes = self._axes or self._chosen(batch.spacing)
        count = 2 ** (len(axes) - 1)
        if any(batch.image.shape[2 + axis] < 2 for axis in axes):
            raise ParameterError(
                f"Patches of {tuple(batch.image.shape[2:])} voxels have no diagonals along axes "
                f"{axes}: give larger data.patch, or other trainer.axes."
            )
        first = draws.integers("diagonal", count)
        second = (first + 1 + draws.integers("other diagonal", count - 1)) % count
        rows = torch.arange(len(first), device=first.device)

        def pair(x: Tensor) -> Tensor:
            """``(2 B, 1, *grid)``: D1 of all patches, then D2."""
            means = diagonal_means(x, axes)
            return torch.cat([means[rows, first], means[rows, second]]).unsqueeze(1)

        given = pair(batch.image)
        wanted = torch.cat([*reversed(given.chunk(2))])
        found, whole = network(given).float(), network(batch.image).float()
        error = (found - wanted).square() + (found - pair(whole)).square()
        if batch.valid is None:
            return error.mean(), {}
        both = pair(batch.valid.float()) == 1
        both = torch.cat([torch.logical_and(*both.chunk(2))] * 2)
        # A mean over all, not over the measured ones: so it is the mean over processes, too.
        return (error * both).mean(), {}
