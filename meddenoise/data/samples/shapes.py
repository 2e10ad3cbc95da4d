"""Signed distances in mm to simple solids: negative inside, positive outside.

Positions come as a tuple of three arrays ``x, y, z`` that broadcast to one shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from meddenoise.data.samples.fields import FloatArray

__all__ = ["Point", "Position", "capsule", "curve", "ellipsoid", "smooth_min", "turn"]

Position: TypeAlias = tuple[FloatArray, FloatArray, FloatArray]
Point: TypeAlias = Sequence[float] | NDArray[np.floating]


def ellipsoid(
    p: Position, centre: Point, radii: Sequence[ArrayLike] | NDArray[np.floating]
) -> FloatArray:
    """An axis-parallel ellipsoid (first-order distance, exact on the surface).

    A radius may be an array, which makes egg shapes; an infinite one makes a cylinder.
    """
    # The small start keeps the centre, where the gradient vanishes, at minus the least radius.
    scaled = np.full((), 1e-6, dtype=np.float32)
    steep = scaled / np.float32(min(np.min(r) for r in radii)) ** 2
    for axis, middle, radius in zip(p, centre, radii, strict=True):
        r = np.asarray(radius, dtype=np.float32)
        ratio = (axis - np.float32(middle)) / r
        scaled = scaled + ratio * ratio
        steep = steep + (ratio / r) ** 2
    length = np.sqrt(scaled)
    return np.asarray(length * (length - 1) / np.sqrt(steep), dtype=np.float32)


def capsule(p: Position, start: Point, end: Point, r_start: float, r_end: float) -> FloatArray:
    """A rod with round ends, of linearly changing radius."""
    a = np.asarray(start, dtype=np.float32)
    along = np.asarray(end, dtype=np.float32) - a
    offset = [axis - a[i] for i, axis in enumerate(p)]
    t = sum(offset[i] * along[i] for i in range(3)) / max(float(along @ along), 1e-6)
    t = np.clip(t, 0, 1)
    square = sum((offset[i] - t * along[i]) ** 2 for i in range(3))
    radius = np.float32(r_start) + t * np.float32(r_end - r_start)
    return np.asarray(np.sqrt(square) - radius, dtype=np.float32)


def curve(
    points: Sequence[Point], radii: Point, step: float = 6.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A smooth path through ``points``: ``(N, 3)`` positions about ``step`` mm apart, radii."""
    knots = np.asarray(points, dtype=np.float64)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    s = np.linspace(0, length[-1], max(2, round(length[-1] / step) + 1))
    return CubicSpline(length, knots, bc_type="natural")(s), np.interp(s, length, radii)


def smooth_min(a: FloatArray, b: FloatArray, blend: float) -> FloatArray:
    """The smaller of two distances, with the crease rounded over ``blend`` mm.

    The quadratic blend: min(a, b) - blend/4 (1 - |a-b|/blend)^2 where they are close.
    """
    close = np.maximum(np.float32(blend) - np.abs(a - b), 0)
    return np.minimum(a, b) - close * close * np.float32(1 / (4 * blend))


def turn(p: Position, centre: Point, axis: int, degrees: float) -> Position:
    """Positions seen from a solid that is turned about ``axis`` through ``centre``."""
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    cos, sin = np.float32(np.cos(np.radians(degrees))), np.float32(np.sin(np.radians(degrees)))
    u, v = p[i] - np.float32(centre[i]), p[j] - np.float32(centre[j])
    out = list(p)
    out[i] = np.float32(centre[i]) + cos * u + sin * v
    out[j] = np.float32(centre[j]) - sin * u + cos * v
    return out[0], out[1], out[2]
