"""How much noise is in each coefficient of a group of similar blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meddenoise.filters.blocks import Blocks, cosines

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["GroupNoise"]

# Frequencies that were not measured have no noise, but what was estimated of them has some; and a
# correlation that was measured and cut off may be that of no noise.
_QUIETEST = 1e-3

# Pairs of blocks that are looked at at once.
_PAIRS = 2**16


@dataclass(frozen=True, eq=False)
class GroupNoise:
    """Stationary noise of variance 1 in groups of blocks.

    Its correlation is taken for the product of those along the axes, as zero filling, partial
    Fourier and windows in k-space make it. What is alike in the blocks of a group holds more of it
    than their differences: blocks that are near each other share noise.

    Attributes:
        table: ``(displacements, voxels)``: the covariance of each cosine coefficient between two
            blocks so far apart; their displacements counted from ``-far`` to ``far`` along each
            axis, the last one fastest.
        far: the largest displacement along each axis.
        white: it is independent between voxels.
    """

    table: Tensor
    far: tuple[int, int, int]
    white: bool

    @classmethod
    def of(cls, blocks: Blocks, along: Sequence[Sequence[float]]) -> GroupNoise:
        """The noise in groups of such blocks.

        Args:
            blocks: their shape and how far from the reference they may lie.
            along: per axis, the correlation with the next voxel, the one after it, and so on;
                farther ones have none.
        """
        import torch

        x, y, z = (2 * reach for reach in blocks.search)
        parts = map(_covariances, blocks.shape, along, (x, y, z))
        table = np.einsum("ad,be,cf->defabc", *parts).reshape(-1, blocks.voxels)
        white = not any(any(axis) for axis in along)
        return cls(torch.from_numpy(table.astype(np.float32)), (x, y, z), white)

    @property
    def each(self) -> Tensor:
        """The variance of each coefficient of a block, ``(voxels,)``; they sum to ``voxels``, or to
        more where the correlation is that of no noise."""
        return self.table[len(self.table) // 2].clamp(min=_QUIETEST)

    def variances(self, places: Tensor, size: Sequence[int]) -> Tensor:
        """Of the coefficients of some groups.

        Haar's first one, the mean, exactly (Makinen et al., IEEE TIP 29:8339, 2020); the others
        share alike what is left. Of white noise all have the same, although blocks overlap: with
        the exact ones nothing was better.

        Args:
            places: ``(groups, count)`` int64, at which voxel of the flattened image blocks begin.
            size: of the image, ``(X, Y, Z)``.

        Returns:
            ``(groups, 2, voxels)``: of the mean, and of each difference; or ``(1, 1, voxels)`` if
            all have the same.
        """
        import torch

        count = places.shape[1]
        if self.white or count == 1:
            return self.each[None, None]
        one, other = torch.triu_indices(count, count, 1)
        at_once = max(1, _PAIRS // len(one))
        shared = torch.cat([self._shared(part, size, one, other) for part in places.split(at_once)])
        mean = self.each + shared * (2 / count)
        rest = self.each - shared * (2 / (count * (count - 1)))
        return torch.stack([mean, rest], dim=1).clamp_(min=_QUIETEST)

    def _shared(self, places: Tensor, size: Sequence[int], one: Tensor, other: Tensor) -> Tensor:
        """The covariances of the pairs of blocks in each group, summed: ``(groups, voxels)``."""
        import torch
        from torch.nn import functional as F

        place = (places // (size[1] * size[2]), places // size[2] % size[1], places % size[2])
        number = torch.zeros(1, dtype=torch.int64)
        for axis, far in zip(place, self.far, strict=True):
            number = number * (2 * far + 1) + axis[:, one] - axis[:, other] + far
        return F.embedding_bag(number, self.table, mode="sum")


def _covariances(count: int, along: Sequence[float], far: int) -> NDArray[np.float64]:
    """``(count, 2 far + 1)``: of each coefficient along an axis, for each displacement."""
    reach = np.zeros(2 * (count + far) + 1)
    middle = count + far
    near = np.array([1.0, *along])[: middle + 1]
    reach[middle : middle + len(near)] = near
    reach[middle - len(near) + 1 : middle + 1] = near[::-1]
    basis = cosines(count).double().numpy()
    places = np.arange(count)
    found = [
        np.einsum("ki,kj,ij->k", basis, basis, reach[middle + places[:, None] - places - moved])
        for moved in range(-far, far + 1)
    ]
    return np.stack(found, axis=1)
