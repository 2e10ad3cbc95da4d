"""Where a noisy scan shows something: what numbers without a reference are taken over."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from meddenoise.evaluation.fields import as_floats
from meddenoise.noise.background import noise_background
from meddenoise.noise.tissue import tissue_mask

__all__ = ["scan_tissue"]

# Rayleigh noise of sigma 1: its mean and standard deviation.
_MEAN, _SPREAD = math.sqrt(math.pi / 2), math.sqrt(2 - math.pi / 2)
_SIDE, _SURE = 3, 3.0


def scan_tissue(
    array: NDArray[np.floating], *, units: str = "", modality: str = ""
) -> NDArray[np.bool_]:
    """The tissue of a noisy scan, without the background that holds nothing but noise.

    :func:`meddenoise.noise.tissue.tissue_mask` takes strong noise around a head for tissue, and
    numbers of both would be told as one. Where :func:`meddenoise.noise.noise_background` finds such
    a background, tissue is what lies above its noise: the mean of 3 voxels along each axis exceeds
    that of the background by three of its standard errors.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``; what is not finite is no tissue.
        units: of the image; in HU soft tissue is taken, as it is.
        modality: DICOM's word, if known; only magnetic resonance has such a background.

    Returns:
        bool, the same shape; empty if nothing is finite.
    """
    from scipy.ndimage import uniform_filter

    finite = np.isfinite(array)
    if not finite.any():
        return finite
    inside = tissue_mask(array, units=units) & finite
    if units == "HU" or modality not in ("", "MR"):
        return inside
    empty = noise_background(array, mask=finite)
    if empty is None:
        return inside
    smooth = uniform_filter(as_floats(np.where(finite, array, 0)), _SIDE)
    chance = _SURE / math.sqrt(_SIDE**array.ndim)
    if empty.magnitude:
        above = smooth > empty.sigma * (_MEAN + chance * _SPREAD)
    else:
        above = np.abs(smooth) > empty.sigma * chance
    told = inside & above & ~empty.mask
    return np.asarray(told if told.any() else inside)
