"""Voxelwise distances between a reference and an image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import checked_mask, image_values

__all__ = ["check_data_range", "mae", "psnr", "rmse", "selected"]

# SSIM takes its square, in double precision.
_LARGEST = 1e150


def psnr(
    reference: ArrayLike,
    image: ArrayLike,
    *,
    data_range: float,
    mask: NDArray[np.bool_] | None = None,
) -> float:
    """Peak signal-to-noise ratio in dB: ``10 log10(data_range^2 / MSE)``.

    Args:
        reference: the truth, any shape.
        image: what is judged, the same shape and unit.
        data_range: the peak, in the image's units; from the modality, the reference or a
            window, never from the judged image.
        mask: bool, the same shape; only these voxels count.

    Returns:
        dB; ``inf`` for identical images.

    Raises:
        ParameterError: shapes that differ, an empty mask, a voxel that is not finite, or a
            data range that is not positive.
    """
    data_range = check_data_range(data_range)
    error = rmse(reference, image, mask=mask)
    return 20 * math.log10(data_range / error) if error > 0 else math.inf


def rmse(reference: ArrayLike, image: ArrayLike, *, mask: NDArray[np.bool_] | None = None) -> float:
    """Root mean squared difference in the image's units; arguments as :func:`psnr`'s."""
    apart = _difference(reference, image, mask)
    # Squares of numbers near 1, which neither vanish nor overflow; powers of 2 round nothing.
    power = int(np.frexp(np.abs(apart).max())[1])
    return math.ldexp(float(np.sqrt(np.mean(np.square(np.ldexp(apart, -power))))), power)


def mae(reference: ArrayLike, image: ArrayLike, *, mask: NDArray[np.bool_] | None = None) -> float:
    """Mean absolute difference in the image's units; arguments as :func:`psnr`'s."""
    return float(np.mean(np.abs(_difference(reference, image, mask))))


def check_data_range(data_range: float) -> float:
    """``data_range`` if it can be a peak.

    Raises:
        ParameterError: not finite, zero or negative, or above 1e150.
    """
    if not 0 < data_range <= _LARGEST:
        raise ParameterError(
            f"data_range is {data_range:g}: it must be finite and above 0, in the image's units, "
            f"and at most {_LARGEST:g}; rescale images of larger values."
        )
    return float(data_range)


def selected(
    reference: ArrayLike, image: ArrayLike, mask: NDArray[np.bool_] | None
) -> tuple[NDArray, NDArray, NDArray[np.bool_]]:
    """Both images and the voxels to compare, checked.

    Raises:
        ParameterError: shapes that differ, an empty mask, or a selected voxel not finite.
    """
    truth, judged = image_values(reference), image_values(image)
    if truth.shape != judged.shape:
        raise ParameterError(f"The reference has shape {truth.shape}, the image {judged.shape}.")
    inside = checked_mask(mask, truth.shape)
    if not inside.any():
        raise ParameterError("The mask is empty: there is no voxel to compare.")
    if not (np.isfinite(truth[inside]).all() and np.isfinite(judged[inside]).all()):
        raise ParameterError(
            "A voxel to compare is not finite, or masked: leave it out by the mask."
        )
    return truth, judged, inside


def _difference(
    reference: ArrayLike, image: ArrayLike, mask: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    truth, judged, mask = selected(reference, image, mask)
    return judged[mask].astype(np.float64) - truth[mask].astype(np.float64)
