"""How sharp an edge is imaged: edge spread, line spread and transfer function (TTF, MTF)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import check_spacing

__all__ = [
    "Transfer",
    "disc_ttf",
    "edge_mtf",
    "falls_to",
    "transfer_of_edge",
    "transfer_of_line",
]

# Bins a pixel: the edge crosses pixels at all phases, so that it is sampled finer than they are.
_FINER = 5
_FEWEST_BINS = 12
# The share of the reach within which the window does not taper.
_FLAT = 0.6
# The edge is looked for again within so many pixels of where it was found.
_NEAR = 5

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Transfer:
    """A transfer function along the normal of an edge.

    Attributes:
        frequencies: cycles per mm, from 0 to twice the pixels' Nyquist frequency.
        transfer: 1 at frequency 0.
        f50, f10: where it falls to a half and to a tenth, cycles per mm; ``None`` if it does not
            within ``frequencies``.
        contrast: of the edge, outer minus inner plateau, in image units.
    """

    frequencies: tuple[float, ...]
    transfer: tuple[float, ...]
    f50: float | None
    f10: float | None
    contrast: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "frequencies_per_mm": list(self.frequencies),
            "transfer": list(self.transfer),
            "f50_per_mm": self.f50,
            "f10_per_mm": self.f10,
            "contrast": self.contrast,
        }


def disc_ttf(
    image: ArrayLike,
    *,
    centre: Sequence[float],
    radius: float,
    spacing: Sequence[float] | None = None,
    reach: float | None = None,
) -> Transfer:
    """Task transfer function from the rim of a disc or ball.

    Richard et al., Med Phys 39:4115, 2012.
    Its value depends on the disc's contrast and on the noise, unlike an MTF's, once a method is not
    linear: give the disc that matters.

    Args:
        image: ``(X, Y)`` (a disc) or ``(X, Y, Z)`` (a ball).
        centre: in voxels, the middle of the first voxel being 0.
        radius: in mm.
        spacing: voxel size in mm per axis; 1 mm by default.
        reach: how far from the rim, in mm; by default 0.9 of the radius, at most 10 voxels.

    Raises:
        ParameterError: a centre or radius outside of the image, or too few voxels around the rim,
            or one that is not finite.
    """
    values = np.asarray(image, dtype=np.float64)
    sizes = check_spacing(spacing, values.ndim)
    if values.ndim not in (2, 3) or len(centre) != values.ndim:
        raise ParameterError("A disc is looked for in (X, Y), a ball in (X, Y, Z), by its centre.")
    if not radius > 0 or not all(0 <= c < n for c, n in zip(centre, values.shape, strict=True)):
        raise ParameterError(
            f"The disc's radius is {radius:g} mm and its centre {tuple(centre)}: the one is above "
            f"0, the other within the image of {values.shape}."
        )
    axes = [(np.arange(n) - c) * s for n, c, s in zip(values.shape, centre, sizes, strict=True)]
    away = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij"))) - radius
    far = min(0.9 * radius, 10 * max(sizes)) if reach is None else reach
    near = np.abs(away) <= far
    if not np.isfinite(values[near]).all():
        raise ParameterError(
            "A voxel around the rim of the disc or ball is not finite: there is no transfer "
            "function."
        )
    return transfer_of_edge(values[near], away[near], pixel=max(sizes))


def edge_mtf(
    image: ArrayLike, *, spacing: Sequence[float] | None = None, reach: float | None = None
) -> Transfer:
    """Modulation transfer from a region with one straight, slightly slanted edge (ISO 12233).

    In each line across the edge, the centroid of its derivative tells where it is; a straight line
    is fitted through these, and all pixels are sorted by their distance to it.

    Args:
        image: ``(X, Y)``: a cut-out with the edge and nothing else.
        spacing: pixel size in mm per axis; 1 mm by default.
        reach: how far from the edge, in mm; by default 10 pixels.

    Raises:
        ParameterError: no 2-D image, no edge in it, or an image too small.
    """
    values = np.asarray(image, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < _FEWEST_BINS or not np.isfinite(values).all():
        raise ParameterError(
            f"An edge is looked for in a finite image (X, Y) of at least {_FEWEST_BINS} pixels a "
            f"side, not of shape {values.shape}."
        )
    dx, dy = check_spacing(spacing, 2)
    slopes = [np.abs(np.diff(values.mean(axis=1 - axis))).max() for axis in (0, 1)]
    if slopes[1] > slopes[0]:
        values, dx, dy = values.T, dy, dx
    if max(slopes) == 0:
        raise ParameterError("There is no edge in the image: it is constant.")
    slope, offset = _line(values, dx, dy)
    x = np.arange(values.shape[0])[:, None] * dx
    away = (x - (offset + slope * np.arange(values.shape[1]) * dy)) / math.hypot(1, slope)
    near = np.abs(away) <= (10 * max(dx, dy) if reach is None else reach)
    return transfer_of_edge(values[near], away[near], pixel=max(dx, dy))


def _line(values: Array, dx: float, dy: float) -> tuple[float, float]:
    """Slope and offset in mm of the edge: the derivative's centroids along the first axis."""
    # Signed, so that noise adds up to nothing.
    rise = np.diff(values, axis=0) * np.sign(values[-1].mean() - values[0].mean())
    where = (np.arange(len(rise))[:, None] + 0.5) * dx
    across = np.arange(values.shape[1]) * dy
    found = np.zeros(2)
    window = np.hanning(len(rise) + 2)[1:-1, None] * np.ones_like(across)
    for _ in range(3):
        weight = rise * window
        total = weight.sum(axis=0)
        known = total > 0.1 * total.max()
        if np.count_nonzero(known) < 2:
            raise ParameterError("There is no edge in the image that runs through all of it.")
        middles = (weight * where).sum(axis=0)[known] / total[known]
        found = np.polyfit(across[known], middles, 1)
        away = (where - np.polyval(found, across)) / (_NEAR * dx)
        window = np.where(np.abs(away) < 1, 0.5 + 0.5 * np.cos(math.pi * away), 0)
    return float(found[0]), float(found[1])


def transfer_of_edge(values: Array, distances: Array, *, pixel: float) -> Transfer:
    """The transfer function from voxels sorted by their distance to an edge.

    Means in bins of a fifth of a pixel give the edge spread, differences the line spread, a window
    around its middle (flat, with cosine ends) and a Fourier transform its transfer; what bins and
    differences take away is divided out.

    Args:
        values: ``(n,)`` in image units.
        distances: ``(n,)`` in mm, negative on one side and positive on the other.
        pixel: of the image, in mm.

    Raises:
        ParameterError: too few voxels around the edge, or no contrast.
    """
    step = pixel / _FINER
    half = min(float(-distances.min(initial=0)), float(distances.max(initial=0)))
    count = int(half / step)
    if 2 * count < _FEWEST_BINS:
        raise ParameterError(
            f"Around the edge there are only {half:g} mm on one side: too little for a transfer "
            "function."
        )
    bins = np.floor(distances / step).astype(np.int64) + count
    used = (bins >= 0) & (bins < 2 * count)
    filled = np.bincount(bins[used], minlength=2 * count)
    total = np.bincount(bins[used], values[used], minlength=2 * count)
    away = np.bincount(bins[used], distances[used], minlength=2 * count)
    centres = (np.arange(2 * count) - count + 0.5) * step
    known = filled > 0
    if np.count_nonzero(known) < _FEWEST_BINS:
        raise ParameterError("Around the edge there are too few voxels for a transfer function.")
    # Where an edge crosses pixels at few phases, a bin's voxels do not lie about its middle.
    spread = np.interp(centres, away[known] / filled[known], total[known] / filled[known])
    line: Array = np.diff(spread).astype(np.float64)
    places: Array = centres[:-1].astype(np.float64) + step / 2
    found, _ = transfer_of_line(places, line, step=step, highest=1 / pixel, boxes=2)
    return found


def transfer_of_line(
    places: Array,
    line: Array,
    *,
    step: float,
    highest: float,
    boxes: int = 1,
    middle: float | None = None,
) -> tuple[Transfer, Array]:
    """The transfer function of a line spread: a window, a Fourier transform, its magnitude.

    The window is flat around the line's middle with cosine ends; what means and differences over
    ``step`` take away is divided out.

    Args:
        places: ``(n,)`` in mm, evenly spaced.
        line: ``(n,)`` rise of the edge from one place to the next, image units.
        step: between places, in mm.
        highest: frequency, in cycles per mm.
        boxes: as wide as ``step`` that the line went through: 1 for its differences, 2 for those
            of means in bins.
        middle: of the window, in mm; by default where half of the edge has risen.

    Returns:
        The transfer function, and its magnitude before it is made 1 at frequency 0, in image units.

    Raises:
        ParameterError: no contrast.
    """
    contrast = float(line.sum())
    rise = line / contrast if contrast else line
    if contrast == 0 or not np.isfinite(rise).all():
        raise ParameterError("The edge has no contrast: there is no transfer function.")
    if middle is None:
        middle = float(np.interp(0.5, np.maximum.accumulate(np.cumsum(rise)), places))
    reach = min(middle - places[0], places[-1] - middle) + step
    apart = np.abs(places - middle) / reach
    # Flat over the line spread, or it would be narrowed.
    taper = np.clip((apart - _FLAT) / (1 - _FLAT), 0, 1)
    rise = rise * (0.5 + 0.5 * np.cos(math.pi * taper))
    # Sixteen frequencies to the reciprocal of the line's length.
    f = np.arange(0, highest, 1 / (8 * step * (len(places) + 1)))
    waves = np.exp(-2j * math.pi * f[:, None] * (places - middle))
    found = np.abs(waves @ rise) / np.sinc(f * step) ** boxes
    if found[0] <= 0:
        raise ParameterError("The edge has no contrast: there is no transfer function.")
    whole = found * abs(contrast)
    found = found / found[0]
    f50, f10 = (falls_to(level, f, found) for level in (0.5, 0.1))
    told = Transfer(tuple(map(float, f)), tuple(map(float, found)), f50, f10, contrast)
    return told, whole


def falls_to(level: float, f: Array, found: Array) -> float | None:
    """The first frequency where ``found`` is below ``level``; ``None`` if nowhere."""
    below = np.flatnonzero(found < level)
    if not below.size:
        return None
    k = int(below[0])
    if k == 0:
        return float(f[0])
    share = (found[k - 1] - level) / (found[k - 1] - found[k])
    return float(f[k - 1] + share * (f[k] - f[k - 1]))
