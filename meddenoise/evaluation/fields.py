"""What metrics with a neighbourhood share: checked pairs, filled holes, slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.volume import Volume

__all__ = [
    "as_floats",
    "check_spacing",
    "checked_mask",
    "filled_pair",
    "image_values",
    "map_values",
    "mean_filled",
    "slices_of",
]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
# What single precision squares, as it squares a thousandth of it.
_LEAST, _MOST = 1e-12, 1e16


def filled_pair(
    reference: ArrayLike, image: ArrayLike, mask: Mask | None, *, name: str
) -> tuple[Array, Array, Mask]:
    """Both images in double precision without holes, and the voxels to count.

    A voxel that is not finite in either image gets the reference's mean in both, so that it is
    alike in both; it does not count.

    Args:
        reference: ``(X, Y)`` or ``(X, Y, Z)``.
        image: the same shape.
        mask: bool, the same shape.
        name: of the metric, for messages.

    Raises:
        ParameterError: another number of axes, shapes that differ, or nothing to count.
    """
    truth, judged = (image_values(a).astype(np.float64) for a in (reference, image))
    if truth.ndim not in (2, 3):
        raise ParameterError(f"{name} is for images of 2 or 3 axes, not of shape {truth.shape}.")
    if truth.shape != judged.shape:
        raise ParameterError(f"The reference has shape {truth.shape}, the image {judged.shape}.")
    finite = np.isfinite(truth) & np.isfinite(judged)
    counted = finite & checked_mask(mask, truth.shape)
    if not counted.any():
        raise ParameterError("The mask is empty: there is no voxel to compare.")
    if not finite.all():
        mean = truth[finite].mean()
        truth, judged = np.where(finite, truth, mean), np.where(finite, judged, mean)
    return truth, judged, counted


def checked_mask(mask: ArrayLike | None, shape: tuple[int, ...]) -> Mask:
    """The mask as bool, all of the image without one; see :func:`map_values`.

    Raises:
        ParameterError: another shape.
    """
    if mask is None:
        return np.ones(shape, dtype=bool)
    inside = map_values(mask) != 0
    if inside.shape != shape:
        raise ParameterError(f"The mask has shape {inside.shape}, the image {shape}.")
    return inside


def map_values(given: Volume | ArrayLike) -> NDArray:
    """The values of a mask or label map; 0 where it is not finite, padding, or masked itself."""
    if isinstance(given, Volume):
        return np.where(given.valid, given.array, 0)
    values = np.ma.filled(given, 0)
    if values.dtype.kind in "bui":
        return values
    return np.where(np.isfinite(values), values, 0)


def image_values(image: ArrayLike) -> NDArray:
    """An image as an array; what a masked array masks is not a number there.

    Raises:
        ParameterError: complex numbers, whose imaginary part would not count.
    """
    values = image.data if isinstance(image, np.ma.MaskedArray) else np.asarray(image)
    if values.dtype.kind == "c":
        raise ParameterError(
            f"An image's values are real numbers, not {values.dtype}: take the magnitude of "
            "complex data."
        )
    if not isinstance(image, np.ma.MaskedArray):
        return values
    return np.where(np.ma.getmaskarray(image), np.nan, values)


def as_floats(values: NDArray) -> NDArray[np.floating]:
    """Single precision as it is, which a volume needs half as much memory for; else double.

    Double as well where the squares of single precision would be too large or too small for it.
    Sums are the caller's to take in double precision.
    """
    if values.dtype != np.float32 or values.size == 0:
        return values.astype(np.float64)
    largest = max(-float(np.fmin.reduce(values, None)), float(np.fmax.reduce(values, None)))
    return values if _LEAST < largest < _MOST else values.astype(np.float64)


def mean_filled(values: NDArray, known: Mask) -> NDArray:
    """The values, and the mean of the known ones elsewhere; as they came where all are known."""
    if known.all():
        return values
    return np.where(known, values, values[known].mean(dtype=np.float64).astype(values.dtype))


def check_spacing(spacing: Sequence[float] | None, dims: int) -> tuple[float, ...]:
    """Voxel sizes in mm, one an axis; 1 mm without any.

    Raises:
        ParameterError: another number of them, or one that is not positive.
    """
    if spacing is None:
        return (1.0,) * dims
    sizes = tuple(float(s) for s in spacing)
    if len(sizes) != dims or not all(np.isfinite(s) and s > 0 for s in sizes):
        raise ParameterError(
            f"spacing needs {dims} positive numbers in mm, one an axis, not {tuple(spacing)}."
        )
    return sizes


def slices_of(array: NDArray, spacing: Sequence[float] | None = None) -> NDArray:
    """A volume as slices ``(S, X, Y)`` across its coarsest axis (the last if all are alike)."""
    if array.ndim == 2:
        return array[None]
    sizes = check_spacing(spacing, 3)
    across = 2 - int(np.argmax(sizes[::-1]))
    return np.moveaxis(array, across, 0)
