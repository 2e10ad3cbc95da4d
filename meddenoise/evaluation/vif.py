"""Visual information fidelity in the pixel domain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import filled_pair, slices_of
from meddenoise.evaluation.metrics import check_data_range

__all__ = ["vif"]

# Of the eye, at a range of 255.
_EYE = 2.0
_EPSILON = 1e-10
# The taps of the four scales; with sigma a fifth of them.
_TAPS = (17, 9, 5, 3)
# What the four windows and halvings leave at least one voxel of.
_SMALLEST = 41

Array = NDArray[np.float64]


def vif(
    reference: ArrayLike,
    image: ArrayLike,
    *,
    data_range: float,
    mask: NDArray[np.bool_] | None = None,
    spacing: Sequence[float] | None = None,
) -> float:
    """Information about the reference that the image keeps (pixel-domain VIF, 4 scales).

    Sheikh and Bovik, IEEE Trans Image Process 15:430, 2006; the pixel-domain form of their own
    release, noise of the eye of variance 2 at a range of 255. It is not symmetric: the
    reference comes first, and an image with more contrast than it may exceed 1. It is defined in
    2-D: a volume is taken in slices across its coarsest axis (the last one if all are alike), the
    information of all slices added up.

    Args:
        reference: the truth, ``(X, Y)`` or ``(X, Y, Z)``, slices of at least 41 x 41.
        image: what is judged, the same shape and unit.
        data_range: the peak, in the image's units.
        mask: bool, the same shape; its bounding box is compared.
        spacing: voxel size in mm per axis.

    Raises:
        ParameterError: as :func:`meddenoise.evaluation.ssim`, slices that are too small, or a
            reference without any information (constant slices).
    """
    scale = 255 / check_data_range(data_range)
    truth, judged, counted = filled_pair(reference, image, mask, name="VIF")
    box = tuple(slice(int(places.min()), int(places.max()) + 1) for places in np.nonzero(counted))
    pairs = [slices_of(values[box] * scale, spacing) for values in (truth, judged)]
    if min(pairs[0].shape[1:]) < _SMALLEST:
        raise ParameterError(
            f"VIF needs slices of at least {_SMALLEST} x {_SMALLEST} voxels, and these are "
            f"{pairs[0].shape[1]} x {pairs[0].shape[2]}."
        )
    kept = whole = 0.0
    for one, other in zip(*pairs, strict=True):
        image_tells, reference_tells = _information(one, other)
        kept, whole = kept + image_tells, whole + reference_tells
    if whole <= _EPSILON:
        raise ParameterError("VIF is undefined: the reference is constant in every slice.")
    return kept / whole


def _information(x: Array, y: Array) -> tuple[float, float]:
    """What a slice of the image, and of the reference x, tells of the reference."""
    kept = whole = 0.0
    for number, taps in enumerate(_TAPS):
        window = _window(taps)
        if number:
            x, y = (_valid(values, window)[::2, ::2] for values in (x, y))
        mean_x, mean_y = _valid(x, window), _valid(y, window)
        var_x = np.maximum(_valid(x * x, window) - mean_x**2, 0)
        var_y = np.maximum(_valid(y * y, window) - mean_y**2, 0)
        both = _valid(x * y, window) - mean_x * mean_y
        gain = both / (var_x + _EPSILON)
        noise = var_y - gain * both
        flat = var_x < _EPSILON
        gain, noise = np.where(flat, 0, gain), np.where(flat, var_y, noise)
        var_x = np.where(flat, 0, var_x)
        still = var_y < _EPSILON
        gain, noise = np.where(still, 0, gain), np.where(still, 0, noise)
        turned = gain < 0
        noise = np.maximum(np.where(turned, var_y, noise), _EPSILON)
        gain = np.maximum(gain, 0)
        kept += float(np.log10(1 + gain**2 * var_x / (noise + _EYE)).sum())
        whole += float(np.log10(1 + var_x / _EYE).sum())
    return kept, whole


def _window(taps: int) -> Array:
    """A Gaussian of sigma taps / 5, its weights adding up to 1."""
    x = np.arange(taps) - taps // 2
    bell = np.exp(-(x**2) / (2 * (taps / 5) ** 2))
    return np.asarray(bell / bell.sum())


def _valid(values: Array, window: Array) -> Array:
    """Filtered along both axes, without the border that the window does not fit into."""
    from scipy.ndimage import correlate1d

    border = len(window) // 2
    values = correlate1d(correlate1d(values, window, 0), window, 1)
    rows, columns = values.shape
    return np.asarray(values[border : rows - border, border : columns - border])
