"""How strong noise is in each part of a scan: coils and parallel imaging make it vary in space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.noise.finest_band import NORMAL_MAD, WIDTH, finest_band
from meddenoise.noise.moments import koay_inversion

__all__ = ["sigma_map"]

# Places of the finest band whose median is a window's sigma: 5 % accurate.
_VOXELS = 1000
_FEWEST = 100


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
    from scipy.ndimage import distance_transform_edt, generic_filter

    if mask is not None and mask.shape != array.shape:
        raise ParameterError(f"The mask has shape {mask.shape}, the image {array.shape}.")
    axes = [axis for axis, length in enumerate(array.shape) if length >= WIDTH]
    if array.ndim not in (2, 3) or len(axes) < 2:
        raise ParameterError(
            f"An image of shape {array.shape} is too small to estimate its noise: it needs at "
            "least 4 voxels along two axes."
        )
    usable = np.isfinite(array)
    if mask is not None:
        usable &= mask
    band, counts = finest_band(array, usable, axes)
    middle = tuple(
        slice(1, n - (WIDTH - 2)) if axis in axes else slice(None)
        for axis, n in enumerate(array.shape)
    )
    places = array[middle]
    counted = _cells(band.shape, spacing)
    local = np.full([len(cuts) for cuts in counted], np.nan)
    for index in np.ndindex(*local.shape):
        window = tuple(cuts[k] for cuts, k in zip(counted, index, strict=True))
        here = counts[window]
        if np.count_nonzero(here) >= _FEWEST:
            sigma = np.median(np.abs(band[window][here])) / NORMAL_MAD
            if magnitude and sigma > 0:
                sigma = koay_inversion(places[window][here].mean(), sigma, coils)[1]
            local[index] = sigma
    if np.isnan(local).all():
        raise ParameterError(
            "There is too little image for a map of its noise: no window with 100 valid places."
        )
    smooth = generic_filter(local, _median, size=3, mode="reflect")
    known = np.isfinite(smooth)
    if not known.all():
        nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
        smooth = smooth[tuple(nearest)]
    for axis, (n, cuts) in enumerate(zip(array.shape, counted, strict=True)):
        before = 1 if axis in axes else 0
        centres = [(cut.start + cut.stop - 1) / 2 + before for cut in cuts]
        smooth = _linear(smooth, axis, np.interp(np.arange(n), centres, range(len(cuts))))
    return smooth.astype(np.float32)


def _linear(
    values: NDArray[np.float64], axis: int, places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``values`` at fractional places along an axis."""
    low = places.astype(int)
    part = (places - low).reshape([-1 if k == axis else 1 for k in range(values.ndim)])
    high = np.minimum(low + 1, values.shape[axis] - 1)
    return values.take(low, axis) * (1 - part) + values.take(high, axis) * part


def _median(window: NDArray[np.float64]) -> float:
    told = window[np.isfinite(window)]
    return float(np.median(told)) if told.size else float("nan")


def _cells(shape: tuple[int, ...], spacing: Sequence[float] | None) -> list[list[slice]]:
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
