"""Signed error: what a denoiser shifts, overall and by tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import image_values, map_values
from meddenoise.evaluation.metrics import selected

__all__ = ["RegionBias", "bias", "bias_by_region"]

# A label map has few values; an intensity image given by mistake has thousands.
_MOST_LABELS = 1000
# Beyond that not all whole numbers exist in double precision.
_LARGEST = 2.0**53


@dataclass(frozen=True)
class RegionBias:
    """The signed error within one label.

    Attributes:
        label: its number in the map.
        voxels: how many.
        reference: their mean in the reference, in image units.
        image: their mean in the image.
        bias: image minus reference.
        error: standard deviation of the difference, in image units.
    """

    label: int
    voxels: int
    reference: float
    image: float
    bias: float
    error: float


def bias(reference: ArrayLike, image: ArrayLike, *, mask: NDArray[np.bool_] | None = None) -> float:
    """Mean of image minus reference, in image units (HU for CT); 0 for an unbiased denoiser.

    Args:
        reference: the truth, any shape.
        image: what is judged, the same shape and unit.
        mask: bool, the same shape; only these voxels count.

    Raises:
        ParameterError: shapes that differ, an empty mask, or a voxel that is not finite.
    """
    truth, judged, inside = selected(reference, image, mask)
    return float(np.mean(np.subtract(judged[inside], truth[inside], dtype=np.float64)))


def bias_by_region(
    reference: ArrayLike, image: ArrayLike, labels: ArrayLike
) -> tuple[RegionBias, ...]:
    """The signed error within each label of a map, 0 left out.

    Voxels that are not finite in either image do not count.

    Args:
        reference: the truth, any shape.
        image: what is judged, the same shape and unit.
        labels: whole numbers, the same shape; 0 is no region.

    Raises:
        ParameterError: shapes that differ, a map without labels, of more than 1000, or of
            fractions.
    """
    truth, judged = image_values(reference), image_values(image)
    numbers = checked_labels(labels, truth.shape)
    if truth.shape != judged.shape:
        raise ParameterError(f"The reference has shape {truth.shape}, the image {judged.shape}.")
    counted = np.isfinite(truth) & np.isfinite(judged) & (numbers != 0)
    found = []
    for label in np.unique(numbers[counted]):
        here = counted & (numbers == label)
        one, other = truth[here].astype(np.float64), judged[here].astype(np.float64)
        apart = other - one
        found.append(
            RegionBias(
                int(label),
                int(apart.size),
                float(one.mean()),
                float(other.mean()),
                float(apart.mean()),
                float(apart.std()),
            )
        )
    if not found:
        raise ParameterError("The label map holds no region where both images are finite.")
    return tuple(found)


def checked_labels(labels: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """A label map as whole numbers.

    Raises:
        ParameterError: another shape, no label but 0, more than 1000, one above 2^53, or
            fractions.
    """
    numbers = map_values(labels)
    if numbers.shape != shape:
        raise ParameterError(f"The label map has shape {numbers.shape}, the image {shape}.")
    largest = float(np.abs(numbers).max(initial=0))
    if largest > _LARGEST:
        raise ParameterError(
            f"The label map holds {largest:.4g}: that is no label but an intensity."
        )
    whole = np.rint(numbers).astype(np.int64)
    if not np.array_equal(whole, numbers):
        raise ParameterError("The label map holds fractions: labels are whole numbers.")
    count = np.count_nonzero(np.unique(whole))
    if count == 0:
        raise ParameterError("The label map is empty: there is no label but 0.")
    if count > _MOST_LABELS:
        raise ParameterError(
            f"The label map holds {count} values: this is an image, not a map of regions."
        )
    return whole
