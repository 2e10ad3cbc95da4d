"""The finest diagonal wavelet band of an image: little but noise is in it."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HIGH_PASS",
    "NORMAL_MAD",
    "SPLINE",
    "WIDTH",
    "band",
    "finest_band",
    "high_passed",
    "sampled_parts",
    "telling",
]

Real = TypeVar("Real", bound=np.floating)

# Daubechies' wavelet with two vanishing moments: linear ramps give no coefficient.
_S3 = 3**0.5
HIGH_PASS = np.array([1 - _S3, -(3 - _S3), 3 + _S3, -(1 + _S3)]) / (4 * 2**0.5)
"""Its filter; the sum of squares is 1, so that white noise keeps its sigma."""

SPLINE = np.array([-1, 3, -3, 1]) / 20**0.5
"""That of the biorthogonal spline wavelet 3.1, as long and scaled likewise. It looks closer to the
highest frequency: half as much of anatomy is left there, but also hardly anything of noise that
was filtered or zero-filled."""

WIDTH = HIGH_PASS.size
"""Voxels along an axis that a coefficient looks at."""

# median|d| of N(0, 1); the 0.6745 of the formula.
NORMAL_MAD = 0.6744897501960817

# A few million coefficients give sigma to a tenth of a percent; more only cost time.
_ENOUGH = 8_000_000
_SLAB = 16


def sampled_parts(shape: tuple[int, ...], axis: int) -> list[tuple[slice, ...]]:
    """The whole image, or of a large one evenly spaced slabs across ``axis``."""
    rows = math.prod(shape) // shape[axis]
    count = max(1, _ENOUGH // (_SLAB * rows))
    if count * _SLAB >= shape[axis]:
        return [(slice(None),)]
    cell = shape[axis] / count
    starts = [int(cell * (k + 0.5) - _SLAB / 2) for k in range(count)]
    before = (slice(None),) * axis
    return [(*before, slice(start, start + _SLAB)) for start in starts]


def finest_band(
    array: NDArray[np.generic],
    usable: NDArray[np.bool_],
    axes: list[int],
    high_pass: NDArray[np.float64] = HIGH_PASS,
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Undecimated coefficients of the band that is diagonal in all of ``axes``.

    Args:
        array: any shape.
        usable: bool, the same shape: which voxels say something.
        axes: at least :data:`WIDTH` voxels long each.
        high_pass: the filter, :data:`HIGH_PASS` (db2) or :data:`SPLINE`.

    Returns:
        The coefficients, ``WIDTH - 1`` fewer along each of ``axes`` (the first belongs to the
        voxels 0 to ``WIDTH - 1``), and which of them tell of noise: all of their voxels are
        usable and not a flat background.
    """
    return band(array, usable, axes, high_pass), telling(array, usable, axes)


def band(
    array: NDArray[np.generic],
    usable: NDArray[np.bool_],
    axes: list[int],
    high_pass: NDArray[np.float64] = HIGH_PASS,
    *,
    dtype: type[np.floating] | np.dtype[Any] = np.float64,
) -> NDArray[np.floating]:
    """The coefficients of :func:`finest_band`, computed and given in ``dtype``."""
    values = np.where(usable, array, 0).astype(dtype, copy=False)
    for axis in axes:
        values = high_passed(values, axis, high_pass)
    return values


def telling(
    array: NDArray[np.generic], usable: NDArray[np.bool_], axes: list[int]
) -> NDArray[np.bool_]:
    """Which coefficients of :func:`finest_band` tell of noise; of any filter as long."""
    background = _flat_background(np.where(usable, array, 0), usable, axes)
    return _windows(usable & ~background, axes, np.logical_and)


def high_passed(
    values: NDArray[Real], axis: int, high_pass: NDArray[np.float64] = HIGH_PASS
) -> NDArray[Real]:
    """Valid part of the convolution with the filter along one axis, in the dtype it has."""
    weights = high_pass.astype(values.dtype)
    first, *others = _shifts(values, axis)
    total = weights[0] * first
    tap = np.empty_like(total)
    for weight, part in zip(weights[1:], others, strict=True):
        total += np.multiply(weight, part, out=tap)
    return np.asarray(total)


def _flat_background(
    values: NDArray[np.generic], usable: NDArray[np.bool_], axes: list[int]
) -> NDArray[np.bool_]:
    """The voxels of filter supports filled by one value: the commonest such value."""
    flat, highest, lowest = usable, values, values
    for axis in axes:
        highest = _windows(highest, [axis], np.maximum)
        lowest = _windows(lowest, [axis], np.minimum)
        flat = np.equal(highest, lowest)
        if not flat.any():  # along one axis is enough to know
            return np.zeros(values.shape, dtype=bool)
    flat = flat & _windows(usable, axes, np.logical_and)
    levels, counts = np.unique(highest[flat], return_counts=True)
    if levels.size == 0:
        return np.zeros(values.shape, dtype=bool)
    flat &= highest == levels[counts.argmax()]
    for axis in axes:
        widened = np.zeros([n + 3 * (k == axis) for k, n in enumerate(flat.shape)], dtype=bool)
        for part in _shifts(widened, axis):
            part |= flat
        flat = widened
    return flat


def _windows(values: NDArray, axes: list[int], combine: np.ufunc) -> NDArray:
    """``combine`` over every filter support, as large as the valid convolution."""
    for axis in axes:
        first, second, third, fourth = _shifts(values, axis)
        values = combine(combine(first, second), combine(third, fourth))
    return values


def _shifts(values: NDArray, axis: int) -> list[NDArray]:
    """The views of ``values`` that the filter's taps see."""
    length = values.shape[axis] - WIDTH + 1
    moved = np.moveaxis(values, axis, 0)
    return [np.moveaxis(moved[k : k + length], 0, axis) for k in range(WIDTH)]
