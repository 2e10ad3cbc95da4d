"""Painting solids into a volume, each over what is there, with partial-volume edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from meddenoise.data.samples.fields import FloatArray, Grid, smooth_noise
from meddenoise.data.samples.shapes import Point, Position, capsule, turn

__all__ = ["Box", "Canvas"]

Box = tuple[slice, slice, slice]


class Canvas:
    """A volume being painted, in a subject's own coordinates.

    The subject is drawn in canonical millimetres (x right, y front, z up); ``size`` and a
    gentle random warp make one body different from the next and its halves unlike, and
    ``tilt`` (degrees about x, y, z) is how it lies in the scanner.

    Attributes:
        image: ``(X, Y, Z)`` float32, what is painted so far.
        position: canonical mm of every voxel, three arrays of the volume's shape.
        grid: the voxels.
    """

    def __init__(
        self,
        grid: Grid,
        rng: np.random.Generator,
        *,
        background: float,
        size: Sequence[float] = (1.0, 1.0, 1.0),
        warp: float = 2.0,
        warp_knot: float = 45.0,
        tilt: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        self.grid = grid
        self.image: FloatArray = np.full(grid.shape, background, dtype=np.float32)
        self._size = size
        turned = sum(abs(np.sin(np.radians(degrees))) for degrees in tilt)
        self._reach = 4 * warp + turned * max(grid.extent) / 2
        position: Position = grid.axes
        for axis, degrees in enumerate(tilt):
            position = turn(position, (0, 0, 0), axis, degrees)
        x, y, z = (
            (axis + np.float32(warp) * smooth_noise(rng, grid, warp_knot)) / np.float32(scale)
            for axis, scale in zip(position, size, strict=True)
        )
        self.position: Position = (x, y, z)
        # An edge is spread over one voxel, as a scanner's box-shaped voxel would.
        self.edge = float(np.mean(grid.spacing))

    def box(self, low: Point, high: Point, margin: float = 0.0) -> Box:
        """The voxels that may lie in a canonical box of mm, as slices (never empty)."""
        slices = []
        for axis, scale, lo, hi in zip(self.grid.axes, self._size, low, high, strict=True):
            line = axis.ravel()
            reach = margin * scale + self._reach + self.edge
            start = int(np.searchsorted(line, lo * scale - reach))
            stop = int(np.searchsorted(line, hi * scale + reach))
            start = min(start, len(line) - 1)
            slices.append(slice(start, max(stop, start + 1)))
        return slices[0], slices[1], slices[2]

    def around(self, centre: Point, radii: Point) -> Box:
        """The voxels around an ellipsoid."""
        low = [c - r for c, r in zip(centre, radii, strict=True)]
        high = [c + r for c, r in zip(centre, radii, strict=True)]
        return self.box(low, high)

    def at(self, box: Box) -> Position:
        """Canonical mm of the voxels of a box."""
        x, y, z = self.position
        return x[box], y[box], z[box]

    def cover(self, distance: FloatArray, softness: float = 1.0) -> FloatArray:
        """How much of each voxel a solid fills, 0 to 1, from its signed distance."""
        width = np.float32(self.edge * softness)
        return np.clip(np.float32(0.5) - distance / width, 0, 1)

    def paint(
        self,
        distance: FloatArray,
        value: ArrayLike,
        box: Box | None = None,
        *,
        within: FloatArray | None = None,
        softness: float = 1.0,
    ) -> None:
        """Fill a solid given by its signed distance on ``box`` (default: everywhere).

        ``value`` is a number or an array; ``within`` multiplies the cover by a mask.
        """
        part = self.image if box is None else self.image[box]
        cover = self.cover(distance, softness)
        if within is not None:
            cover = cover * within
        part += cover * (np.asarray(value, dtype=np.float32) - part)

    def tube(
        self, points: ArrayLike, radii: ArrayLike, reach: float = 6.0, mirror: bool = False
    ) -> tuple[FloatArray, Box]:
        """Signed distance to a tube along ``points`` (N, 3), and the box it is valid on.

        The distance is cut off at ``reach`` mm outside. With ``mirror`` the tube is drawn
        on both sides of the plane x = 0 (points must have x >= 0).
        """
        path, width = np.asarray(points, dtype=np.float64), np.asarray(radii, dtype=np.float64)
        pad = width.max() + reach
        low, high = path.min(axis=0), path.max(axis=0)
        if mirror:
            low[0] = -high[0]
        outer = self.box(low, high, pad)
        distance = np.full(self.image[outer].shape, reach, dtype=np.float32)
        for side in (1, -1) if mirror else (1,):
            for a, b, ra, rb in zip(path[:-1], path[1:], width[:-1], width[1:], strict=True):
                a, b = a * [side, 1, 1], b * [side, 1, 1]
                inner = self.box(np.minimum(a, b), np.maximum(a, b), max(ra, rb) + reach)
                local = tuple(
                    slice(i.start - o.start, i.stop - o.start)
                    for i, o in zip(inner, outer, strict=True)
                )
                part = distance[local]
                np.minimum(part, capsule(self.at(inner), a, b, ra, rb), out=part)
        return distance, outer
