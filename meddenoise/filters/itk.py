"""SimpleITK's filters on arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.filters.spacing import relative_spacing

__all__ = ["by_itk", "unit_for_itk"]

# Of so many units is the range of intensities then: about as many as a scan in HU has.
_RANGE = 2**11

# Voxels that it is measured on.
_ENOUGH = 2**18


def unit_for_itk(array: NDArray[np.floating]) -> float:
    """What intensities are to be divided by for filters that take gradients.

    ITK takes gradients whose square is below 1e-9 for none, in whatever unit they are: a diffusion
    coefficient in mm^2/s, some 1e-3, would not be filtered. And squares of very large ones are no
    numbers any more.

    Args:
        array: the whole image, any shape, finite; not a part of it, so that all parts have one.

    Returns:
        In image units; a power of two, which is divided by without rounding.
    """
    step = max(1, math.ceil((array.size / _ENOUGH) ** (1 / array.ndim)))
    few = array[(slice(None, None, step),) * array.ndim]
    # Not of a few voxels that stand out, unless there is nothing else.
    low, high = (float(value) for value in np.percentile(few, (0.1, 99.9)))
    spread = high - low or float(array.max()) - float(array.min())
    if not (math.isfinite(spread) and spread > 0):
        return 1.0
    return 2.0 ** round(math.log2(spread / _RANGE))


def by_itk(
    function: Callable[[Any], Any],
    array: NDArray[np.floating],
    spacing: Sequence[float],
    *,
    unit: float = 1.0,
) -> NDArray[np.floating]:
    """``function`` of a SimpleITK image with the array's voxels, as an array again.

    Args:
        function: an image to an image of the same size.
        array: ``(X, Y)`` or ``(X, Y, Z)``, float32 or float64.
        spacing: voxel size in mm per axis. The image's is a multiple of the finest one, so that
            the widths and time steps of ITK are in units of the finest voxel side.
        unit: what ITK gets the intensities in, in image units; see :func:`unit_for_itk`.

    Raises:
        MemoryError: ITK needs more than there is; it says so in a RuntimeError.
    """
    import SimpleITK as sitk

    # ITK names axes from the fastest one on, which is the array's last.
    kind = array.dtype.type
    image = sitk.GetImageFromArray(np.ascontiguousarray(array if unit == 1 else array / kind(unit)))
    image.SetSpacing(relative_spacing(spacing)[::-1])
    try:
        found = function(image)
    except RuntimeError as fault:
        if "allocate memory" not in str(fault):
            raise
        raise MemoryError(str(fault)) from None
    result: NDArray[np.floating] = sitk.GetArrayFromImage(found)
    return result if unit == 1 else result * kind(unit)
