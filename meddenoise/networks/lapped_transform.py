"""Cosine transforms of overlapping blocks, and the image that changed coefficients make."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.networks.layers import is_exported
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
        return self.of(self.prepared(x)).movedim(-1, 1)

    def prepared(self, x: Tensor) -> Tensor:
        """``(B, 1, *spatial)``, whole cells, as :meth:`of` takes it."""
        padded = F.pad(x, [self.pad] * (2 * self.dims), mode="reflect")
        if is_exported():
            return padded
        padded = padded[:, 0]
        for axis in range(self.dims):
            padded = padded.unflatten(1 + 2 * axis, (-1, self.cell))
        places = range(2, 2 + 2 * self.dims, 2)
        return padded.permute(0, *range(1, 1 + 2 * self.dims, 2), *places).flatten(1 + self.dims)

    def of(self, prepared: Tensor, rows: slice = slice(None)) -> Tensor:
        """The coefficients of some rows of blocks.

        Args:
            prepared: an image, from :meth:`prepared`.
            rows: along the grid's first axis.

        Returns:
            ``(B, rows, *grid[1:], coefficients)``: channels last, as the sums over them, a U-Net
            and :meth:`woven` want them.
        """
        if is_exported():
            convolve = F.conv3d if self.dims == 3 else F.conv2d
            kernels = self.get_buffer("kernels").to(prepared.dtype)
            return convolve(prepared, kernels, stride=self.cell).movedim(1, -1)[:, rows]
        grid = [size - self.laps + 1 for size in prepared.shape[1:-1]]
        first, end, _ = rows.indices(grid[0])
        # Along the last axis the cells of a block lie one after the other.
        each = self.cell**self.dims
        lines = prepared[:, first : end + self.laps - 1].flatten(-2)
        lines = lines.unfold(-1, self.laps * each, each)
        places = self._laps([end - first, *grid[1:]], axes=self.dims - 1)
        blocks = torch.cat([lines[place] for place in places], dim=-1)
        # A product, not a convolution, which would give channels first.
        return blocks @ self.get_buffer("products").to(prepared.dtype).t()

    def inverse(self, coefficients: Tensor, weight: Tensor) -> Tensor:
        """The weighted mean of all blocks.

        Args:
            coefficients: as from :meth:`forward`.
            weight: ``(B, 1, *spatial / cell)``, above 0.

        Returns:
            ``(B, 1, *spatial)``.
        """
        return self.woven([(coefficients.movedim(1, -1), weight.movedim(1, -1))], weight.shape[2])

    def woven(self, parts: Iterable[tuple[Tensor, Tensor]], rows: int) -> Tensor:
        """The weighted mean of all blocks, which come in parts.

        Args:
            parts: coefficients as from :meth:`of`, some rows each, and the weights of their blocks,
                with one channel, above 0; together all rows, in order.
            rows: of the grid.

        Returns:
            ``(B, 1, *spatial)``.
        """
        if is_exported():
            return self._inner(self._transposed(*next(iter(parts))))
        blend = self.get_buffer("blend")
        total, weights, row = None, [], 0
        for coefficients, weight in parts:
            # The weight of a block is the same for all of it, after the transform as before.
            blocks = (coefficients @ blend.to(coefficients.dtype)).mul_(weight)
            if total is None:
                size = [n + self.laps - 1 for n in (rows, *blocks.shape[2:-1])]
                total = blocks.new_zeros(len(blocks), *size, self.cell**self.dims)
            self._overlap(total[:, row : row + blocks.shape[1] + self.laps - 1], blocks)
            weights.append(weight)
            row += weight.shape[1]
        if total is None or row != rows:
            raise ValueError(f"{row} rows of blocks came, and not {rows}.")
        image = (total / self._share(torch.cat(weights, dim=1))).movedim(-1, 1)
        return self._inner(shuffle(image, (self.cell,) * self.dims))

    def _transposed(self, coefficients: Tensor, weight: Tensor) -> Tensor:
        """The same in the shortest words, before what was padded is cut off."""
        coefficients, weight = coefficients.movedim(-1, 1), weight.movedim(-1, 1)
        weave = F.conv_transpose3d if self.dims == 3 else F.conv_transpose2d
        kernels, windows = (self.get_buffer(name).to(weight) for name in ("kernels", "windows"))
        woven = weave(coefficients * weight, kernels * windows, stride=self.cell)
        return woven / weave(weight, windows, stride=self.cell)

    def _share(self, weight: Tensor) -> Tensor:
        """``(B, *grid, 1)`` to ``(B, *grid + laps - 1, cell ** dims)``: a voxel's weights' sum."""
        beyond = self.laps - 1
        around = F.pad(weight[..., 0], [beyond] * (2 * self.dims))
        places = [*self._laps([n + beyond for n in weight.shape[1:-1]])]
        # A cell's last lap is the first of its block's.
        near = torch.stack([around[place] for place in reversed(places)], dim=-1)
        window = self.get_buffer("window").to(weight.dtype)
        return near @ window.unflatten(0, (self.laps**self.dims, -1))

    def _inner(self, image: Tensor) -> Tensor:
        """Without what was padded."""
        inner = (slice(self.pad, size - self.pad) for size in image.shape[2:])
        return image[(slice(None), slice(None), *inner)]

    def _overlap(self, total: Tensor, blocks: Tensor) -> None:
        """Adds ``(B, *grid, block ** dims)`` to ``(B, *grid + laps - 1, cell ** dims)``.

        A transposed convolution does the same and takes three times as long on CPUs.
        """
        parts = blocks.unflatten(-1, (self.laps**self.dims, -1))
        for lap, place in enumerate(self._laps(blocks.shape[1:-1])):
            total[place] += parts[..., lap, :]

    def _laps(self, grid: Sequence[int], axes: int | None = None) -> Iterator[tuple[slice, ...]]:
        """Where among the cells each part of the blocks of a grid lies, along the first axes."""
        for at in itertools.product(range(self.laps), repeat=axes or self.dims):
            place = (slice(a, a + n) for a, n in zip(at, grid, strict=False))
            yield (slice(None), *place)
