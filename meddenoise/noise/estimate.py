"""How strong the noise of a scan is, from the scan alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError

__all__ = ["estimate_sigma"]

# Daubechies' wavelet with two vanishing moments: linear ramps give no coefficient.
_S3 = 3**0.5
_HIGH_PASS = np.array([1 - _S3, -(3 - _S3), 3 + _S3, -(1 + _S3)]) / (4 * 2**0.5)

# median|d| of N(0, 1); the 0.6745 of the formula.
_NORMAL_MAD = 0.6744897501960817

_FEWEST = 32

# A few million coefficients give sigma to a tenth of a percent; more only cost time.
_ENOUGH = 8_000_000
_SLAB = 16


def estimate_sigma(array: NDArray[np.generic], *, mask: NDArray[np.bool_] | None = None) -> float:
    """Standard deviation of white noise, by the wavelet MAD estimate.

    ``sigma = median|d| / 0.6745`` over the finest diagonal band d of a db2 wavelet
    transform (Donoho and Johnstone, Biometrika 81:425, 1994), undecimated: there anatomy
    leaves little, and the median ignores the few edges. In 3-D the band is diagonal in all
    three axes. A flat background (the commonest value that fills a whole filter support, as
    where a scan was masked to 0), its border, and non-finite voxels say nothing about noise
    and are left out.

    It assumes noise independent between voxels: interpolated, filtered or zero-filled scans
    and reconstructed CT have less in this band, and the estimate is then too low. In the
    air around a magnitude MR image the noise is Rayleigh, its spread 0.655 sigma: give a
    foreground mask where there is much air.

    Args:
        array: one scan, ``(X, Y)`` or ``(X, Y, Z)``, any unit. Axes of fewer than 4 voxels
            are gone through slice by slice; of more than 8 million voxels, evenly spaced
            slabs are looked at.
        mask: bool, ``array``'s shape; only coefficients whose support lies within count.

    Returns:
        sigma in the image's units; 0.0 for a constant image.

    Raises:
        ParameterError: no 2-D or 3-D image, a mask of another shape, or hardly a place
            (fewer than 32) with 4 voxels along each axis to look at.
    """
    if array.ndim not in (2, 3):
        raise ParameterError(
            f"Noise is estimated on one scan of 2 or 3 axes, not of shape {array.shape}."
        )
    if mask is not None and mask.shape != array.shape:
        raise ParameterError(f"The mask has shape {mask.shape}, the image {array.shape}.")
    axes = [axis for axis, length in enumerate(array.shape) if length >= _HIGH_PASS.size]
    usable = np.isfinite(array)
    if mask is not None:
        usable &= mask.astype(bool)
    if len(axes) < 2:
        raise ParameterError(
            f"An image of shape {array.shape} is too small to estimate its noise: it needs at "
            "least 4 voxels along two axes."
        )
    coefficients = np.concatenate(
        [_coefficients(array[part], usable[part], axes) for part in _parts(array.shape, axes[0])]
    )
    if coefficients.size < _FEWEST:
        seen = array[np.isfinite(array) if mask is None else np.isfinite(array) & mask]
        if seen.size >= _FEWEST and (seen == seen[0]).all():
            return 0.0
        raise ParameterError(
            "There is too little image to estimate noise from: fewer than 32 places with 4 "
            "valid voxels along each axis that are not flat background."
        )
    return float(np.median(coefficients) / _NORMAL_MAD)


def _parts(shape: tuple[int, ...], axis: int) -> list[tuple[slice, ...]]:
    """The whole image, or of a large one evenly spaced slabs across ``axis``."""
    rows = math.prod(shape) // shape[axis]
    count = max(1, _ENOUGH // (_SLAB * rows))
    if count * _SLAB >= shape[axis]:
        return [(slice(None),)]
    cell = shape[axis] / count
    starts = [int(cell * (k + 0.5) - _SLAB / 2) for k in range(count)]
    before = (slice(None),) * axis
    return [(*before, slice(start, start + _SLAB)) for start in starts]


def _coefficients(
    array: NDArray[np.generic], usable: NDArray[np.bool_], axes: list[int]
) -> NDArray[np.float64]:
    """Magnitudes of the finest diagonal band's coefficients, where they tell of noise."""
    values = np.where(usable, array, 0).astype(np.float64)
    usable = usable & ~_flat_background(values, usable, axes)
    counts = _windows(usable, axes, np.logical_and)
    for axis in axes:
        values = _filtered(values, axis)
    return np.abs(values[counts])


def _filtered(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Valid part of the convolution with the high-pass filter along one axis."""
    taps = [weight * part for weight, part in zip(_HIGH_PASS, _shifts(values, axis), strict=True)]
    return taps[0] + taps[1] + taps[2] + taps[3]


def _flat_background(
    values: NDArray[np.float64], usable: NDArray[np.bool_], axes: list[int]
) -> NDArray[np.bool_]:
    """The voxels of filter supports filled by one value: the commonest such value."""
    highest = _windows(values, axes, np.maximum)
    flat = np.equal(highest, _windows(values, axes, np.minimum))
    flat &= _windows(usable, axes, np.logical_and)
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
    length = values.shape[axis] - _HIGH_PASS.size + 1
    moved = np.moveaxis(values, axis, 0)
    return [np.moveaxis(moved[k : k + length], 0, axis) for k in range(_HIGH_PASS.size)]
