"""Blocks of an image: which ones look alike, and their cosine coefficients."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Blocks", "Tile", "cosines", "haar_matrix", "kaiser_window", "match_blocks"]

# What lies outside the image, at least, and in multiples of the largest intensity: one such voxel
# makes a block farther from any than all others are, of some 64 voxels.
_OUTSIDE, _FARTHER = 1e6, 100.0

# Voxels whose distances are taken at once: few enough to stay in the cache, and not so few that
# calls cost more than arithmetic.
_CACHED = 2**17


@dataclass(frozen=True)
class Tile:
    """A part of an image that is filtered on its own.

    Attributes:
        seen: the part with all that its reference blocks may be like; it begins on their grid.
        own: its reference blocks along each axis, counted from the first in ``seen``.
    """

    seen: tuple[slice, slice, slice]
    own: tuple[range, range, range]


@dataclass(frozen=True)
class Blocks:
    """The shape of blocks and where the reference blocks lie.

    Attributes:
        shape: voxels per axis of a block, ``(x, y, z)``.
        step: voxels from one reference block to the next, per axis.
        search: how far from its reference a similar block may lie, per axis.
    """

    shape: tuple[int, int, int]
    step: tuple[int, int, int]
    search: tuple[int, int, int]

    @property
    def voxels(self) -> int:
        """In one block."""
        return math.prod(self.shape)

    def references(self, size: Sequence[int]) -> tuple[int, ...]:
        """How many reference blocks fit along each axis of an image of that size."""
        return tuple((n - b) // s + 1 for n, b, s in zip(size, self.shape, self.step, strict=True))

    def candidates(self, size: Sequence[int]) -> int:
        """How many blocks a reference block in a corner may be like, itself included."""
        return math.prod(
            min(r, n - b) + 1 for n, b, r in zip(size, self.shape, self.search, strict=True)
        )

    def tiles(self, size: Sequence[int], most: int) -> list[Tile]:
        """The image in parts whose reference blocks begin within ``most`` voxels, or a few more.

        Args:
            size: of the image, whose last reference blocks end at its border.
            most: about as many.
        """
        counts, deep = self.references(size), list(self.references(size))
        while math.prod(d * s for d, s in zip(deep, self.step, strict=True)) > most:
            longest = max(range(3), key=lambda axis: deep[axis] * self.step[axis])
            if deep[longest] == 1:
                break
            deep[longest] = -(-deep[longest] // 2)
        ranges = (
            [range(first, min(first + d, n)) for first in range(0, n, d)]
            for n, d in zip(counts, deep, strict=True)
        )
        return [self._tile(own) for own in itertools.product(*ranges)]

    def _tile(self, own: Sequence[range]) -> Tile:
        seen, inside = [], []
        for refs, width, step, reach in zip(own, self.shape, self.step, self.search, strict=True):
            first = max(0, refs.start - -(-reach // step))
            seen.append(slice(first * step, (refs.stop - 1) * step + width + reach))
            inside.append(range(refs.start - first, refs.stop - first))
        return Tile((seen[0], seen[1], seen[2]), (inside[0], inside[1], inside[2]))

    def analyse(self, image: Tensor) -> Tensor:
        """The orthonormal cosine transform (DCT-II) of the block at every voxel.

        Args:
            image: ``(X, Y, Z)``.

        Returns:
            ``(X * Y * Z, voxels)``; a block that begins at a voxel too near the far border is
            made up by repeating that border.
        """
        import torch
        from torch.nn import functional as F

        pads = [p for n in reversed(self.shape) for p in (0, n - 1)]
        padded = F.pad(image[None, None], pads, mode="replicate")[0, 0]
        windows = padded
        for axis, length in enumerate(self.shape):
            windows = windows.unfold(axis, length, 1)
        basis = self._basis().t().contiguous()
        found = torch.empty(*image.shape, self.voxels)
        # Plane by plane: the copied blocks of one stay in the cache. (A convolution with one
        # input channel is several times slower.)
        for plane, blocks in zip(found, windows, strict=True):
            rows = blocks.reshape(-1, self.voxels)
            torch.mm(rows, basis, out=plane.view(-1, self.voxels))
        return found.view(-1, self.voxels)

    def synthesise(self, coefficients: Tensor, weight: Tensor, size: Sequence[int]) -> Tensor:
        """The inverse: every block back where it was, weighted by a window, and all summed.

        Args:
            coefficients: ``(X * Y * Z, voxels)``.
            weight: ``shape``, the window.
            size: ``(X, Y, Z)``.

        Returns:
            ``(X, Y, Z)``; what blocks hold beyond the far border is cut off.
        """
        import torch

        blocks = coefficients @ (self._basis() * weight.reshape(1, -1))
        bx, by, bz = self.shape
        x, y, z = size
        # Axis by axis, so that each pass adds up long runs and leaves fewer values to the next.
        blocks = blocks.view(x, y, z, bx, by * bz)
        first = torch.zeros(x + bx - 1, y, z, by * bz)
        for i in range(bx):
            first[i : i + x] += blocks[:, :, :, i]
        first = first[:x].view(x, y, z, by, bz)
        second = torch.zeros(x, y + by - 1, z, bz)
        for j in range(by):
            second[:, j : j + y] += first[:, :, :, j]
        third = torch.zeros(x, y, z + bz - 1)
        for k in range(bz):
            third[:, :, k : k + z] += second[:, :y, :, k]
        return third[:, :, :z]

    def spread(self, weights: Tensor, window: Tensor) -> Tensor:
        """The sum of windows, each at its block's place and times its block's weight.

        Args:
            weights: ``(X, Y, Z)``, of the blocks that begin there.
            window: ``shape``.

        Returns:
            ``(X, Y, Z)``.
        """
        from torch.nn import functional as F

        pads = [p for n in reversed(self.shape) for p in (n - 1, 0)]
        padded = F.pad(weights[None, None], pads)
        return F.conv3d(padded, window.flip(0, 1, 2)[None, None])[0, 0]

    def _basis(self) -> Tensor:
        """``(voxels, voxels)``: one cosine pattern a row."""
        import torch

        x, y, z = (cosines(n) for n in self.shape)
        return torch.kron(torch.kron(x, y), z)


def match_blocks(image: Tensor, blocks: Blocks, count: int, own: Sequence[range]) -> Tensor:
    """For each reference block the most similar ones near it, by the squared difference.

    The distances of all references for one displacement at a time: the squared difference of the
    image and its shifted copy, summed over blocks axis by axis.

    Args:
        image: ``(X, Y, Z)``; reference blocks begin at multiples of ``blocks.step``.
        blocks: their shape and where to look.
        count: how many, the reference itself among them; at most ``blocks.candidates``.
        own: which references along each axis.

    Returns:
        ``(references, count)`` int64: at which voxel of the flattened image they begin.
    """
    import torch
    from torch.nn import functional as F

    size = image.shape
    outside = max(_OUTSIDE, _FARTHER * float(image.abs().max()))
    padded = F.pad(
        image[None, None], [r for n in reversed(blocks.search) for r in (n, n)], value=outside
    )[0, 0]
    shifts = list(itertools.product(*(range(-r, r + 1) for r in blocks.search)))
    offsets = torch.tensor([(dx * size[1] + dy) * size[2] + dz for dx, dy, dz in shifts])
    planes, ny, nz = (len(refs) for refs in own)
    step, begin = blocks.step, [refs.start * s for refs, s in zip(own, blocks.step, strict=True)]
    spans = [(len(refs) - 1) * s + b for refs, s, b in zip(own, step, blocks.shape, strict=True)]
    y = torch.arange(ny)[:, None] * step[1] + begin[1]
    z = torch.arange(nz) * step[2] + begin[2]
    found = []
    at_once = max(1, _CACHED // (step[0] * spans[1] * spans[2]))
    for first in range(0, planes, at_once):
        deep = min(at_once, planes - first)
        corner = [begin[0] + first * step[0], begin[1], begin[2]]
        region = [(deep - 1) * step[0] + blocks.shape[0], spans[1], spans[2]]
        here = image[_part(corner, region)]
        distance = torch.empty(len(shifts), deep, ny, nz)
        difference = torch.empty(region)
        for number, shift in enumerate(shifts):
            moved = [c + r + d for c, r, d in zip(corner, blocks.search, shift, strict=True)]
            torch.sub(here, padded[_part(moved, region)], out=difference)
            sums = difference.square_()
            for axis in range(3):
                sums = _block_sums(sums, blocks.shape[axis], step[axis], axis)
            distance[number] = sums
        distance[len(shifts) // 2] = -1  # itself comes first, also where all are the same
        flat = distance.view(len(shifts), -1).t().contiguous()
        nearest = flat.topk(count, dim=1, largest=False, sorted=False).indices
        x = torch.arange(deep)[:, None, None] * step[0] + corner[0]
        starts = ((x * size[1] + y) * size[2] + z).reshape(-1, 1)
        found.append(starts + offsets[nearest])
    return torch.cat(found)


def _part(corner: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(c, c + n) for c, n in zip(corner, size, strict=True))


def haar_matrix(count: int) -> Tensor:
    """The orthonormal Haar transform ``(count, count)`` of a power of two; its row 0 the mean."""
    import torch

    matrix = torch.ones(1, 1)
    while len(matrix) < count:
        means = torch.kron(matrix, torch.tensor([[1.0, 1.0]]))
        details = torch.kron(torch.eye(len(matrix)), torch.tensor([[1.0, -1.0]]))
        matrix = torch.cat([means, details]) / math.sqrt(2)
    return matrix


def kaiser_window(shape: Sequence[int], beta: float = 2.0) -> Tensor:
    """The separable window that block results are weighted by, less at the block's border."""
    import torch

    x, y, z = (torch.kaiser_window(n, periodic=False, beta=beta) for n in shape)
    return x[:, None, None] * y[:, None] * z


def _block_sums(values: Tensor, width: int, step: int, axis: int) -> Tensor:
    """Sums over ``width`` voxels along an axis, one for every ``step``."""
    span = values.shape[axis] - width + 1
    parts = [values.narrow(axis, k, span) for k in range(width)]
    if step > 1:
        every = tuple(slice(None, None, step) if a == axis else slice(None) for a in range(3))
        parts = [part[every] for part in parts]
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return total


def cosines(count: int) -> Tensor:
    """The orthonormal DCT-II matrix."""
    import torch

    frequency, place = torch.arange(count)[:, None], torch.arange(count)[None]
    matrix = torch.cos(math.pi * (place + 0.5) * frequency / count) * math.sqrt(2 / count)
    matrix[0] /= math.sqrt(2)
    return matrix
