"""Effective resolution: how wide the image's own edges are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import as_floats, check_spacing, checked_mask, slices_of
from meddenoise.evaluation.transfer import Transfer, transfer_of_line

__all__ = ["EdgeWidth", "Edges", "edge_transfer", "edge_width", "find_edges", "line_spread"]

_STRONGEST = 0.05
_MOST = 20_000
_FEWEST = 200
_REACH = 4.0
# What a blur spreads beyond a profile's ends would be lost to its spectrum.
_FAR = 8.0
_STEP = 0.25

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Edges:
    """Where edges are, within slices.

    Attributes:
        places: ``(n, 3)``: slice, then two coordinates in voxels.
        normals: ``(n, 3)``: 0, then a unit vector across the edge, in voxels, towards the brighter.
    """

    places: Array
    normals: Array


@dataclass(frozen=True)
class EdgeWidth:
    """The mean edge of an image.

    Attributes:
        width: full width at half maximum of its line spread, mm.
        edges: how many were averaged.
    """

    width: float
    edges: int


def find_edges(
    image: ArrayLike,
    *,
    spacing: Sequence[float] | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> Edges:
    """The strongest edges within slices across the coarsest axis.

    Places where the gradient's magnitude (Gaussian derivatives, sigma 1) is largest along its own
    direction, the strongest twentieth of them, at most 20,000; each moved to the peak of a
    parabola through its neighbours.

    Args:
        image: where to look: the reference, or else the denoised image, ``(X, Y)`` or
            ``(X, Y, Z)``; finite.
        spacing: voxel size in mm per axis.
        mask: bool, the same shape.

    Raises:
        ParameterError: fewer than 200 edges.
    """
    from scipy.ndimage import gaussian_filter, map_coordinates

    values = as_floats(np.asarray(image))
    sizes = check_spacing(spacing, values.ndim)
    shown = slices_of(values, sizes)
    counted = slices_of(checked_mask(mask, values.shape), sizes).copy()
    border = int(_REACH) + 2
    for axis in (1, 2):
        edge = np.moveaxis(counted, axis, 0)
        edge[:border] = edge[max(len(edge) - border, 0) :] = False
    slopes = [gaussian_filter(shown, (0, 1, 1), order=order) for order in ((0, 1, 0), (0, 0, 1))]
    strength = np.hypot(*slopes)
    if not counted.any() or np.ptp(strength[counted]) == 0:
        raise ParameterError("There are no edges in the image to measure its resolution by.")
    # Where most is flat, so is some of the strongest fifth.
    strong = (strength > 0) & (strength >= np.quantile(strength[counted], 0.8))
    candidates = np.argwhere(counted & strong)
    at = tuple(candidates.T)
    normals = np.stack([slope[at] for slope in slopes], axis=1) / strength[at][:, None]
    steps = np.concatenate([np.zeros((len(normals), 1)), normals], axis=1)
    ahead, behind = (
        map_coordinates(strength, (candidates + sign * steps).T, order=1) for sign in (1, -1)
    )
    middle = strength[at]
    peak = (middle > ahead) & (middle >= behind)
    order = np.argsort(-middle[peak], kind="stable")
    count = min(_MOST, max(_FEWEST, round(_STRONGEST / 0.2 * len(order))))
    kept = np.flatnonzero(peak)[order[:count]]
    if len(kept) < _FEWEST:
        raise ParameterError(
            f"There are {len(kept)} edges in the image; its resolution wants {_FEWEST}."
        )
    curvature = ahead[kept] - 2 * middle[kept] + behind[kept]
    shift = np.clip(0.5 * (behind[kept] - ahead[kept]) / np.minimum(curvature, -1e-12), -0.5, 0.5)
    return Edges(candidates[kept] + shift[:, None] * steps[kept], steps[kept])


def line_spread(
    image: ArrayLike,
    edges: Edges,
    *,
    spacing: Sequence[float] | None = None,
    reach: float = _REACH,
) -> tuple[Array, Array]:
    """The mean line spread over edges found elsewhere.

    Profiles across all edges, interpolated by cubic splines, are added up (the strongest weigh
    most), so that noise averages out: the same edges before and after tell what a denoiser does to
    them. It holds the width of the anatomy and that of the interpolation as well: it is for
    comparison, not an absolute resolution.

    Args:
        image: ``(X, Y)`` or ``(X, Y, Z)``, of the grid that the edges were found on; finite.
        edges: of :func:`find_edges`.
        spacing: voxel size in mm per axis.
        reach: of a profile to either side, in voxels (of voxels that are not square within slices,
            their mean size).

    Returns:
        Places in mm, a quarter of a voxel apart, 0 where the edge was found; and at each the rise
        from one place to the next, the mean of all edges, in image units.
    """
    from scipy.ndimage import map_coordinates

    values = np.asarray(image)
    sizes = check_spacing(spacing, values.ndim)
    shown = slices_of(values, sizes)
    plane = _in_plane(sizes)
    # All profiles are sampled at the same places in mm, whichever way their edge runs.
    offsets = np.arange(-reach, reach + _STEP / 2, _STEP) * float(plane.mean())
    across = _across(edges.normals[:, 1:], plane)
    line = np.zeros(len(offsets) - 1)
    for number in np.unique(np.rint(edges.places[:, 0]).astype(int)):
        here = np.rint(edges.places[:, 0]).astype(int) == number
        points = edges.places[here, None, 1:] + offsets[:, None] * across[here, None]
        here_shown = shown[number].astype(np.float64)
        profile = map_coordinates(here_shown, points.reshape(-1, 2).T, order=3, mode="nearest")
        line += np.diff(profile.reshape(len(points), -1), axis=1).sum(axis=0)
    return (offsets[:-1] + offsets[1:]) / 2, line / len(edges.places)


def edge_width(
    image: ArrayLike, edges: Edges, *, spacing: Sequence[float] | None = None
) -> EdgeWidth:
    """Full width at half maximum of the mean line spread over edges found elsewhere.

    Args:
        image, edges, spacing: as for :func:`line_spread`.

    Raises:
        ParameterError: the mean profile is no edge (all blurred away, or drowned in noise).
    """
    middles, line = line_spread(image, edges, spacing=spacing)
    width = _full_width(middles, line)
    if not (np.isfinite(width) and line.max() > 0):
        raise ParameterError("The mean profile across the edges is no edge: no resolution.")
    return EdgeWidth(width, len(edges.places))


def edge_transfer(
    image: ArrayLike, edges: Edges, *, spacing: Sequence[float] | None = None
) -> tuple[Transfer, Array]:
    """The Fourier transform of the mean line spread over edges found elsewhere.

    As the line spread it holds the anatomy's own edges: what a denoiser does is its transform by
    that of the same edges in another image.

    Args:
        image, edges, spacing: as for :func:`line_spread`.

    Returns:
        The transfer function up to the voxels' Nyquist frequency, 1 at 0; and its magnitude at the
        same frequencies before it is made 1 there, in image units.

    Raises:
        ParameterError: the edges have no contrast in this image.
    """
    middles, line = line_spread(image, edges, spacing=spacing, reach=_FAR)
    step = float(middles[1] - middles[0])
    # One window for all images: about where the edge was found.
    return transfer_of_line(middles, line, step=step, highest=0.5 * _STEP / step, middle=0.0)


def _in_plane(sizes: Sequence[float]) -> Array:
    """Both voxel sizes within slices, in mm."""
    across = None if len(sizes) == 2 else 2 - int(np.argmax(sizes[::-1]))
    return np.array([s for axis, s in enumerate(sizes) if axis != across])


def _across(normals: Array, plane: Array) -> Array:
    """How many voxels along each axis a millimetre straight across each edge is; ``(n, 2)``.

    Normals are gradients over voxels. Over millimetres they have another direction where voxels are
    not square.
    """
    slopes = normals / plane
    return np.asarray(slopes / np.linalg.norm(slopes, axis=1, keepdims=True) / plane)


def _full_width(places: Array, line: Array) -> float:
    """Full width at half maximum of a line spread, in the unit of ``places``.

    Not a number if it does not fall to a half on both sides.
    """
    top = int(np.argmax(line))
    half = line[top] / 2
    left = np.flatnonzero(line[:top] < half)
    right = np.flatnonzero(line[top:] < half)
    if not left.size or not right.size:
        return math.nan
    a, b = int(left[-1]), top + int(right[0])
    begin = places[a] + (half - line[a]) / (line[a + 1] - line[a]) * (places[a + 1] - places[a])
    end = places[b - 1] + (line[b - 1] - half) / (line[b - 1] - line[b]) * (
        places[b] - places[b - 1]
    )
    return float(end - begin)
