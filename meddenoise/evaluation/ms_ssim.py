"""Multi-scale structural similarity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import filled_pair
from meddenoise.evaluation.gmsd import halved
from meddenoise.evaluation.metrics import check_data_range

__all__ = ["MultiScaleSSIM", "ms_ssim"]

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_SIGMA, _TAPS = 1.5, 11
_BORDER = _TAPS // 2
_K1, _K2 = 0.01, 0.03


@dataclass(frozen=True)
class MultiScaleSSIM:
    """A multi-scale SSIM and how it was measured.

    Attributes:
        value: at most 1.
        scales: how many there was room for, at most 5.
        convention: dimensionality, window and scales in words.
    """

    value: float
    scales: int
    convention: str


def ms_ssim(
    reference: ArrayLike,
    image: ArrayLike,
    *,
    data_range: float,
    mask: NDArray[np.bool_] | None = None,
) -> MultiScaleSSIM:
    """Structural similarity over up to five scales (Wang, Simoncelli and Bovik, Asilomar 2003).

    ``l_M^w_M prod_j cs_j^w_j`` with the published weights, each scale half of the one before by
    means over 2 voxels along each axis; windows as :func:`meddenoise.evaluation.ssim`'s, and the
    5 outermost voxels of each scale left out. A scale must have at least 11 voxels along each
    axis: a smaller image has fewer scales, their weights made to add up to 1, which the
    convention says (values of different numbers of scales do not compare). A mean contrast
    below 0 counts as 0.

    Args:
        reference: the truth, ``(X, Y)`` or ``(X, Y, Z)``; an axis of fewer than 22 voxels is
            taken slice by slice.
        image: what is judged, the same shape and unit.
        data_range: the peak, in the image's units.
        mask: bool, the same shape; at coarser scales, voxels of which at least half lies within.

    Raises:
        ParameterError: as :func:`meddenoise.evaluation.ssim`, fewer than two axes of 22 voxels,
            or a mask of which a scale holds nothing.
    """
    peak = check_data_range(data_range)
    truth, judged, counted = filled_pair(reference, image, mask, name="MS-SSIM")
    axes = [axis for axis, length in enumerate(truth.shape) if length >= 2 * _TAPS]
    if len(axes) < 2:
        raise ParameterError(
            f"MS-SSIM needs at least {2 * _TAPS} voxels along two axes; the image is {truth.shape}."
        )
    shortest = min(truth.shape[axis] for axis in axes)
    scales = min(len(WEIGHTS), 1 + int(math.log2(shortest / _TAPS)))
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    share = counted.astype(np.float64)
    value = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            truth, judged, share = (halved(v, axes) for v in (truth, judged, share))
        contrast, whole = _means(truth, judged, share >= 0.5, axes, peak)
        value *= max(whole if scale == scales - 1 else contrast, 0.0) ** float(weight)
    slices = "" if len(axes) == truth.ndim else " slices"
    said = f"{len(axes)}-D{slices}, {scales} scales, Gaussian sigma 1.5, 11 taps, K1 0.01, K2 0.03"
    return MultiScaleSSIM(float(value), scales, said)


def _means(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    where: NDArray[np.bool_],
    axes: list[int],
    peak: float,
) -> tuple[float, float]:
    """Mean contrast-structure, and mean SSIM, over ``where`` without the border."""
    inside = np.zeros_like(where)
    inside[
        tuple(
            slice(_BORDER, n - _BORDER) if axis in axes else slice(None)
            for axis, n in enumerate(x.shape)
        )
    ] = True
    inside &= where
    if not inside.any():
        raise ParameterError("MS-SSIM is undefined: a scale holds no voxel of the mask.")
    one, other = _smooth(x, axes), _smooth(y, axes)
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    both = _smooth(x * y, axes) - one * other
    sums = _smooth(x * x, axes) + _smooth(y * y, axes) - one**2 - other**2
    contrast = (2 * both + c2) / (sums + c2)
    light = (2 * one * other + c1) / (one**2 + other**2 + c1)
    return float(contrast[inside].mean()), float((light * contrast)[inside].mean())


def _smooth(values: NDArray[np.float64], axes: list[int]) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter1d

    for axis in axes:
        values = gaussian_filter1d(values, _SIGMA, axis, truncate=_BORDER / _SIGMA)
    return values
