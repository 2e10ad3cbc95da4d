"""Contrast of regions: CNR, and how much of a contrast is left."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import checked_mask, image_values

__all__ = ["cnr", "contrast_recovery"]


class _Region(NamedTuple):
    mean: float
    variance: float


def cnr(image: ArrayLike, region: NDArray[np.bool_], background: NDArray[np.bool_]) -> float:
    """Contrast-to-noise ratio ``|m1 - m2| / sqrt((s1^2 + s2^2) / 2)``.

    Args:
        image: any shape, image units.
        region: bool, the same shape.
        background: bool, the same shape.

    Raises:
        ParameterError: shapes that differ, a region of fewer than two finite voxels, or two
            regions without any spread.
    """
    one, other = (_region(image, where) for where in (region, background))
    spread = math.sqrt((one.variance + other.variance) / 2)
    if spread == 0:
        raise ParameterError("CNR is undefined: both regions are constant.")
    return abs(one.mean - other.mean) / spread


def contrast_recovery(
    reference: ArrayLike,
    image: ArrayLike,
    region: NDArray[np.bool_],
    background: NDArray[np.bool_],
) -> float:
    """``(m1 - m2)`` of the image by that of the reference: 1 if the contrast is all there.

    Args:
        reference: the truth, any shape.
        image: what is judged, the same shape and unit.
        region: bool, the same shape.
        background: bool, the same shape.

    Raises:
        ParameterError: as :func:`cnr`, or a reference without contrast between the two.
    """
    there, here = (
        _region(values, region).mean - _region(values, background).mean
        for values in (reference, image)
    )
    if there == 0:
        raise ParameterError("Contrast recovery is undefined: the reference has no contrast there.")
    return here / there


def _region(image: ArrayLike, where: NDArray[np.bool_]) -> _Region:
    values = image_values(image)
    inside = values[checked_mask(where, values.shape) & np.isfinite(values)].astype(np.float64)
    if inside.size < 2:
        raise ParameterError(f"A region holds {inside.size} finite voxels: at least 2 are needed.")
    return _Region(float(inside.mean()), float(inside.var(ddof=1)))
