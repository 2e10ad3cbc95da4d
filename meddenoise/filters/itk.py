"""SimpleITK's filters on arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.filters.spacing import relative_spacing

__all__ = ["by_itk"]


def by_itk(
    function: Callable[[Any], Any], array: NDArray[np.floating], spacing: Sequence[float]
) -> NDArray[np.floating]:
    """``function`` of a SimpleITK image with the array's voxels, as an array again.

    Args:
        function: an image to an image of the same size.
        array: ``(X, Y)`` or ``(X, Y, Z)``, float32 or float64.
        spacing: voxel size in mm per axis. The image's is a multiple of the finest one, so that
            the widths and time steps of ITK are in units of the finest voxel side.
    """
    import SimpleITK as sitk

    # ITK names axes from the fastest one on, which is the array's last.
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(relative_spacing(spacing)[::-1])
    result: NDArray[np.floating] = sitk.GetArrayFromImage(function(image))
    return result
