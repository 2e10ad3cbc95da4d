"""Cosine transforms of overlapping blocks, and the image that changed coefficients make."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.networks.light import shuffle

__all__ = ["LappedTransform"]


class LappedTransform(nn.Module):
    """Orthonormal cosine transforms of all blocks whose corners lie on a coarser grid.

    White noise of an image has the same standard deviation in each coefficient. A block is worth
    as much as a weight says; within it the middle is worth more than the rim, so that blocks blend.

    Args:
        dims: 2 or 3.
        block: voxels of a block along each axis.
        cell: from a block to the next along each axis; ``block`` is a multiple of it.

    Attributes:
        coefficients: of a block: ``block ** dims``.
        reach: how far beyond a voxel the blocks that hold it reach, in voxels.
    """

    def __init__(self, dims: int, block: int, cell: int) -> None:
        super().__init__()
        self.dims, self.cell, self.laps = dims, cell, block // cell
        self.coefficients = block**dims
        self.reach = block - 1
        self.pad = (block - cell) // 2
        at = torch.arange(block, dtype=torch.float64)
        cosines = torch.cos(math.pi * (at + 0.5) * at[:, None] / block) * math.sqrt(2 / block)
        cosines[0] /= math.sqrt(2)
        window = torch.sin(math.pi * (at + 1) / (block + 1)).square()
        kernels, windows = cosines, window
        for _ in range(dims - 1):
            kernels = torch.einsum("a...,bi->ab...i", kernels, cosines).flatten(0, 1)
            windows = windows[..., None] * window
        self.register_buffer("kernels", kernels[:, None].float(), persistent=False)
        self.register_buffer("windows", windows[None, None].float(), persistent=False)
        self.register_buffer("products", self._by_lap(kernels.float()), persistent=False)
        blend = self._by_lap((kernels * windows).float())
        self.register_buffer("blend", blend, persistent=False)
        self.register_buffer("window", self._by_lap(windows[None].float())[0], persistent=False)

    def _by_lap(self, kernels: Tensor) -> Tensor:
        """``(K, *block)`` to ``(K, laps ** dims * cell ** dims)``: by cell and place in it."""
        parts = kernels.unflatten(1, (self.laps, self.cell))
        for axis in range(1, self.dims):
            parts = parts.unflatten(1 + 2 * axis, (self.laps, self.cell))
        laps, places = range(1, 1 + 2 * self.dims, 2), range(2, 2 + 2 * self.dims, 2)
        return parts.permute(0, *laps, *places).flatten(1).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 1, *spatial)``, whole cells, to ``(B, coefficients, *spatial / cell)``."""
        padded = F.pad(x, [self.pad] * (2 * self.dims), mode="reflect")
        if _exported():
            convolve = F.conv3d if self.dims == 3 else F.conv2d
            return convolve(padded, self.get_buffer("kernels").to(x.dtype), stride=self.cell)
        padded = padded[:, 0]
        grid = [size // self.cell for size in x.shape[2:]]
        for axis in range(self.dims):
            padded = padded.unflatten(1 + 2 * axis, (-1, self.cell))
        places = range(2, 2 + 2 * self.dims, 2)
        cells = padded.permute(0, *range(1, 1 + 2 * self.dims, 2), *places).flatten(1 + self.dims)
        blocks = torch.cat([cells[place] for place in self._laps(grid)], dim=-1)
        # A product, not a convolution: so the coefficients come with channels last in memory, as
        # the sums over them, the U-Net and the inverse want them.
        return (blocks @ self.get_buffer("products").to(x.dtype).t()).movedim(-1, 1)

    def inverse(self, coefficients: Tensor, weight: Tensor) -> Tensor:
        """The weighted mean of all blocks.

        Args:
            coefficients: as from :meth:`forward`.
            weight: ``(B, 1, *spatial / cell)``, above 0.

        Returns:
            ``(B, 1, *spatial)``.
        """
        if _exported():
            weave = F.conv_transpose3d if self.dims == 3 else F.conv_transpose2d
            kernels, windows = (self.get_buffer(name).to(weight) for name in ("kernels", "windows"))
            woven = weave(coefficients * weight, kernels * windows, stride=self.cell)
            return self._inner(woven / weave(weight, windows, stride=self.cell))
        last, each = coefficients.movedim(1, -1), weight.movedim(1, -1)
        # The weight of a block is the same for all of it, after the transform as before.
        total = self._overlap((last @ self.get_buffer("blend").to(last.dtype)).mul_(each))
        share = self._overlap(each * self.get_buffer("window").to(last.dtype))
        image = shuffle((total / share).movedim(-1, 1), (self.cell,) * self.dims)
        return self._inner(image)

    def _inner(self, image: Tensor) -> Tensor:
        """Without what was padded."""
        inner = (slice(self.pad, size - self.pad) for size in image.shape[2:])
        return image[(slice(None), slice(None), *inner)]

    def _overlap(self, blocks: Tensor) -> Tensor:
        """``(B, *grid, block ** dims)`` to ``(B, *grid + laps - 1, cell ** dims)``: their sum.

        A transposed convolution does the same and takes three times as long on CPUs.
        """
        grid = blocks.shape[1:-1]
        parts = blocks.unflatten(-1, (self.laps**self.dims, -1))
        size = [n + self.laps - 1 for n in grid]
        total = blocks.new_zeros(len(blocks), *size, parts.shape[-1])
        for lap, place in enumerate(self._laps(grid)):
            total[place] += parts[..., lap, :]
        return total

    def _laps(self, grid: Sequence[int]) -> Iterator[tuple[slice, ...]]:
        """Where among the cells each part of the blocks of a grid lies, after the batch."""
        for at in itertools.product(range(self.laps), repeat=self.dims):
            place = (slice(a, a + n) for a, n in zip(at, grid, strict=True))
            yield (slice(None), *place)


def _exported() -> bool:
    """Whether the network is written down for others, to whom convolutions say it shortest."""
    return bool(getattr(torch.compiler, "is_exporting", lambda: False)())
