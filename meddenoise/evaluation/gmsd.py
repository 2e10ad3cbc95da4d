"""Gradient magnitude similarity deviation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import filled_pair
from meddenoise.evaluation.metrics import check_data_range

__all__ = ["gmsd", "halved"]

# Xue et al. use 170 for images of range 255, squared gradients.
_CONSTANT = 170 / 255**2
_SMALLEST = 8


def gmsd(
    reference: ArrayLike,
    image: ArrayLike,
    *,
    data_range: float,
    mask: NDArray[np.bool_] | None = None,
) -> float:
    """How unevenly edges are hurt (Xue et al., IEEE Trans Image Process 23:684, 2014); 0 is best.

    Both images are halved by a mean over 2 voxels along each axis; with the magnitudes m of their
    Prewitt gradients, ``GMS = (2 m1 m2 + c) / (m1^2 + m2^2 + c)``, c = 170 at a range of 255, and
    GMSD is its standard deviation. In 3-D means, gradients and deviation are over three axes. The
    outermost voxels are repeated beyond the border.

    Args:
        reference: the truth, ``(X, Y)`` or ``(X, Y, Z)``; an axis of fewer than 8 voxels is taken
            slice by slice.
        image: what is judged, the same shape and unit.
        data_range: the peak, in the image's units.
        mask: bool, the same shape; halved voxels wholly within count.

    Raises:
        ParameterError: as :func:`meddenoise.evaluation.ssim`, or a mask too thin to hold any
            halved voxel.
    """
    scale = 1 / check_data_range(data_range)
    truth, judged, counted = filled_pair(reference, image, mask, name="GMSD")
    long = [axis for axis, length in enumerate(truth.shape) if length >= _SMALLEST]
    if len(long) < 2:
        raise ParameterError(
            f"GMSD needs at least {_SMALLEST} voxels along two axes; the image is {truth.shape}."
        )
    truth, judged = (halved(values * scale, long) for values in (truth, judged))
    # As little as one voxel outside makes the mean less than 1.
    counted = halved(counted.astype(np.float64), long) > 1 - 1e-9
    one, other = _gradient(truth, long), _gradient(judged, long)
    similarity = (2 * one * other + _CONSTANT) / (one**2 + other**2 + _CONSTANT)
    if not counted.any():
        raise ParameterError("GMSD is undefined: the mask holds no voxel that can be halved.")
    return float(similarity[counted].std())


def halved(values: NDArray[np.float64], axes: list[int]) -> NDArray[np.float64]:
    """Means over pairs along each of the axes; an odd last voxel is left out."""
    for axis in axes:
        pairs = np.moveaxis(values, axis, 0)
        even = len(pairs) // 2 * 2
        values = np.moveaxis((pairs[0:even:2] + pairs[1:even:2]) / 2, 0, axis)
    return np.ascontiguousarray(values)


def _gradient(values: NDArray[np.float64], axes: list[int]) -> NDArray[np.float64]:
    """Magnitude of Prewitt's gradient, whose weights add up to 1 on each side."""
    from scipy.ndimage import correlate1d

    total = np.zeros_like(values)
    for axis in axes:
        slope = correlate1d(values, [-1, 0, 1], axis, mode="nearest")
        for other in axes:
            if other != axis:
                slope = correlate1d(slope, [1 / 3] * 3, other, mode="nearest")
        total += slope**2
    return np.asarray(np.sqrt(total))
