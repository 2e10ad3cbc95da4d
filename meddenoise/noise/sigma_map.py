"""How strong noise is in each part of a scan: coils and parallel imaging make it vary in space."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.noise.finest_band import NORMAL_MAD, WIDTH, band, telling
from meddenoise.noise.moments import koay_inversion

__all__ = ["LocalSigma", "local_sigma", "sigma_map"]

# Places of the finest band whose median is a window's sigma: 5 % accurate.
_VOXELS = 1000
_FEWEST = 100
# Voxels of a scan in memory that are looked at at once.
_PART = 2**22
# Windows along the last axis go together up to so many voxels: slabs share planes.
_SLAB = 2**20


@dataclass(frozen=True, eq=False)
class LocalSigma:
    """The map by its windows, so that a large scan's need not be held.

    Attributes:
        windows: float64, sigma in the middle of each window.
        places: per axis, where each voxel lies among the windows.
        limits: sigma is never less than the first and more than the second.
    """

    windows: NDArray[np.float64]
    places: tuple[NDArray[np.float64], ...]
    limits: tuple[float, float] = (0.0, float("inf"))

    def planes(self, first: int, last: int) -> NDArray[np.float32]:
        """The map from one index along the last axis to before another."""
        found = self.windows
        for axis, places in enumerate(self.places):
            along = places[first:last] if axis == len(self.places) - 1 else places
            found = _linear(found, axis, along)
        return np.clip(found, *self.limits).astype(np.float32)

    def whole(self) -> NDArray[np.float32]:
        """All of the map."""
        return self.planes(0, len(self.places[-1]))

    def scaled(self, factor: float) -> LocalSigma:
        """The map times a number; its limits stay."""
        return replace(self, windows=self.windows * factor)

    def within(self, low: float, high: float) -> LocalSigma:
        """The map with these limits."""
        return replace(self, limits=(low, high))


def sigma_map(
    array: NDArray[np.generic],
    *,
    mask: NDArray[np.bool_] | None = None,
    spacing: Sequence[float] | None = None,
    magnitude: bool = False,
    coils: int = 1,
) -> NDArray[np.float32]:
    """Local standard deviation of white noise.

    The wavelet MAD of :func:`meddenoise.noise.estimate_sigma` in windows of some 1000 voxels, each
    smoothed by the median with its neighbours (an edge that fills a window is no noise), linear in
    between, and that of the nearest window where nothing can be told.

    Args:
        array: one scan, ``(X, Y)`` or ``(X, Y, Z)``, any unit.
        mask: bool, the same shape; only coefficients whose support lies within count.
        spacing: voxel size in mm per axis: windows are nearly cubes in mm.
        magnitude: correct each window for the Rician (noncentral chi) distribution by its mean.
        coils: whose sum of squares the magnitude is.

    Returns:
        float32, the shape of ``array``, image units.

    Raises:
        ParameterError: shapes that differ, or not one window with 100 valid places.
    """
    if mask is not None and mask.shape != array.shape:
        raise ParameterError(f"The mask has shape {mask.shape}, the image {array.shape}.")

    def parts() -> Iterator[NDArray[np.generic]]:
        step = max(1, _PART // max(1, array[..., 0].size))
        for first in range(0, array.shape[-1], step):
            here = (..., slice(first, first + step))
            part = array[here]
            yield part if mask is None else np.where(mask[here], part, np.nan)

    return local_sigma(
        array.shape, parts(), spacing=spacing, magnitude=magnitude, coils=coils
    ).whole()


def local_sigma(
    shape: Sequence[int],
    parts: Iterable[NDArray[np.generic]],
    *,
    spacing: Sequence[float] | None = None,
    magnitude: bool = False,
    coils: int = 1,
) -> LocalSigma:
    """:func:`sigma_map` of a scan that comes in parts.

    Args:
        shape: of the scan.
        parts: it, cut along the last axis, from first to last; what is not finite does not count.
        spacing, magnitude, coils: as there.

    Raises:
        ParameterError: as there.
    """
    from scipy.ndimage import distance_transform_edt

    axes = [axis for axis, length in enumerate(shape) if length >= WIDTH]
    if len(shape) not in (2, 3) or len(axes) < 2:
        raise ParameterError(
            f"An image of shape {tuple(shape)} is too small to estimate its noise: it needs at "
            "least 4 voxels along two axes."
        )
    counted = _cells([n - (WIDTH - 1) * (k in axes) for k, n in enumerate(shape)], spacing)
    local = np.full([len(cuts) for cuts in counted], np.nan)
    means = np.zeros_like(local)
    # What a coefficient sees, and around it where a flat background would be seen to begin.
    wide = WIDTH - 1 if len(shape) - 1 in axes else 0
    rows = _together(counted[-1], math.prod(shape[:-1]))
    spans = [slice(counted[-1][row[0]].start, counted[-1][row[-1]].stop) for row in rows]
    for row, span, (slab, skipped) in zip(rows, spans, _slabs(parts, spans, wide), strict=True):
        usable = np.isfinite(slab)
        sizes = np.abs(band(slab, usable, axes, dtype=np.result_type(slab, np.float32)))
        middle = tuple(
            slice(1, n - (WIDTH - 2)) if axis in axes else slice(None)
            for axis, n in enumerate(slab.shape)
        )
        places, before = slab[middle], span.start - skipped
        for number in row:
            cut = counted[-1][number]
            along = slice(cut.start - before, cut.stop - before)
            # What is a flat background is asked of each row of windows for itself.
            seen = (..., slice(max(along.start - wide, 0), along.stop + 2 * wide))
            counts = telling(slab[seen], usable[seen], axes)
            first = min(along.start, wide)
            counts = counts[..., first : first + cut.stop - cut.start]
            for index in np.ndindex(*local.shape[:-1]):
                window = tuple(cuts[k] for cuts, k in zip(counted[:-1], index, strict=True))
                here = counts[window]
                if np.count_nonzero(here) >= _FEWEST:
                    there = (*window, along)
                    local[(*index, number)] = _middle(sizes[there][here]) / NORMAL_MAD
                    means[(*index, number)] = places[there][here].mean() if magnitude else 0
    if np.isnan(local).all():
        raise ParameterError(
            "There is too little image for a map of its noise: no window with 100 valid places."
        )
    if magnitude:
        noisy = local > 0
        local[noisy] = koay_inversion(means[noisy], local[noisy], coils)[1]
    smooth = _medians(local)
    known = np.isfinite(smooth)
    if not known.all():
        nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
        smooth = smooth[tuple(nearest)]
    where = []
    for axis, (n, cuts) in enumerate(zip(shape, counted, strict=True)):
        before = 1 if axis in axes else 0
        centres = [(cut.start + cut.stop - 1) / 2 + before for cut in cuts]
        where.append(np.interp(np.arange(n), centres, range(len(cuts))))
    return LocalSigma(smooth, tuple(where))


def _together(cuts: Sequence[slice], plane: int) -> list[range]:
    """The numbers of cuts that are looked at in one slab: of small planes, several."""
    rows, first = [], 0
    for number, cut in enumerate(cuts):
        if number > first and (cut.stop - cuts[first].start) * plane > _SLAB:
            rows.append(range(first, number))
            first = number
    return [*rows, range(first, len(cuts))]


def _slabs(
    parts: Iterable[NDArray[np.generic]], cuts: Sequence[slice], wide: int
) -> Iterator[tuple[NDArray[np.generic], int]]:
    """For each cut along the last axis what it holds, and how many planes come before it.

    There are ``wide`` planes before and twice as many behind it, as far as the scan goes.
    """
    held: NDArray[np.generic] | None = None
    begins, left = 0, list(cuts)

    def next_one(there: NDArray[np.generic]) -> tuple[NDArray[np.generic], int]:
        cut = left.pop(0)
        first = max(cut.start - wide, 0)
        return there[..., first - begins : cut.stop + 2 * wide - begins], cut.start - first

    for part in parts:
        held = part if held is None else np.concatenate([held, part], axis=-1)
        while left and begins + held.shape[-1] >= left[0].stop + 2 * wide:
            yield next_one(held)
        first = max((left[0].start if left else begins) - wide, begins)
        held, begins = held[..., first - begins :], first
    while left and held is not None:
        yield next_one(held)


def _linear(
    values: NDArray[np.float64], axis: int, places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``values`` at fractional places along an axis."""
    low = places.astype(int)
    part = (places - low).reshape([-1 if k == axis else 1 for k in range(values.ndim)])
    high = np.minimum(low + 1, values.shape[axis] - 1)
    return values.take(low, axis) * (1 - part) + values.take(high, axis) * part


def _middle(values: NDArray[np.floating]) -> float:
    """The median, which ``np.median`` takes four times as long for of so few."""
    half = values.size // 2
    if values.size % 2:
        return float(np.partition(values, half)[half])
    return float(np.partition(values, (half - 1, half))[half - 1 : half + 1].mean())


def _medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each window and its neighbours, those that are known; mirrored at borders."""
    around = np.pad(values, 1, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(around, (3,) * values.ndim)
    ordered = np.sort(windows.reshape(*values.shape, -1), axis=-1)  # what is unknown comes last
    known = np.isfinite(ordered).sum(-1, keepdims=True)
    places = np.maximum(known - 1, 0) // 2, known // 2
    pair = [np.take_along_axis(ordered, place, -1)[..., 0] for place in places]
    return np.asarray((pair[0] + pair[1]) / 2)


def _cells(shape: Sequence[int], spacing: Sequence[float] | None) -> list[list[slice]]:
    """Cuts along each axis into windows of about 1000 voxels, nearly as long in mm each way."""
    sizes = np.ones(len(shape)) if spacing is None else np.asarray(spacing, float)[: len(shape)]
    edges, left = np.ones(len(shape)), float(_VOXELS)
    # The shortest first: what it cannot take is left to the others.
    order = np.argsort(np.array(shape) * sizes)
    for number, axis in enumerate(order):
        rest = order[number:]
        cube = (left * sizes[rest].prod()) ** (1 / len(rest))
        edges[axis] = min(shape[axis], max(1.0, cube / sizes[axis]))
        left /= edges[axis]
    cells = []
    for n, e in zip(shape, edges, strict=True):
        count = max(1, round(n / e))
        cells.append([slice(n * k // count, n * (k + 1) // count) for k in range(count)])
    return cells
