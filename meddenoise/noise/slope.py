"""How steep an image is at each voxel: where it is flat, noise is all that there is to see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["slope"]


def slope(smooth: NDArray[np.floating]) -> NDArray[np.floating]:
    """The length of the gradient by differences of the voxels on both sides.

    After a Gaussian mean it is nearly that of Gaussian derivatives, in less than half of their
    time where the mean is at hand.

    Args:
        smooth: any number of axes, finite; at borders the voxel itself takes the part of the one
            that is missing, so that the difference is half as large.

    Returns:
        The same shape and dtype, image units per voxel.
    """
    power = np.zeros_like(smooth)
    for axis in range(smooth.ndim):
        along, squares = np.moveaxis(smooth, axis, 0), np.moveaxis(power, axis, 0)
        if len(along) > 2:
            squares[1:-1] += np.square(along[2:] - along[:-2])
        if len(along) > 1:
            squares[0] += np.square(along[1] - along[0])
            squares[-1] += np.square(along[-1] - along[-2])
    return np.asarray(np.sqrt(power, out=power) / smooth.dtype.type(2))
