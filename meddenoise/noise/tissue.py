"""Noise where there is signal: at each intensity, and where anatomy adds least to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meddenoise.noise.curve import NoiseCurve
from meddenoise.noise.moments import koay_inversion

__all__ = ["ENOUGH", "boxes", "quietest", "smoothed", "thinned", "tissue_mask", "without_magnitude"]

# Two million voxels give sigma to a percent at each of forty intensities.
ENOUGH = 2_000_000
_SLAB = 24
# Below that fraction of the image's brightest tissue a magnitude image is taken for air.
_AIR = 0.1
# What has less noise than that fraction of the middle was processed (skull, a smoothed rim).
_PROCESSED = 0.5
# The SNR of clear signals, and the share of all that they are at least.
_CLEAR, _ENOUGH_CLEAR = 2.0, 0.25


def smoothed(array: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A guide to the clean intensities: a Gaussian mean, of the voxels of the tissue alone.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``; non-finite voxels do not count.
        mask: bool, the same shape: the tissue.

    Returns:
        float32, the same shape and unit; 0 where there is no tissue near.
    """
    from scipy.ndimage import gaussian_filter

    known = mask & np.isfinite(array)
    # Holes are filled, or each would be an edge of the guide.
    weight = gaussian_filter(known.astype(np.float32), 1.0)
    smooth = gaussian_filter(np.where(known, array, 0).astype(np.float32), 1.0)
    return np.divide(smooth, weight, out=np.zeros_like(smooth), where=weight > 1e-3)


def without_magnitude(curve: NoiseCurve, coils: int = 1) -> NoiseCurve:
    """The noise of the real and imaginary channels at each intensity of a magnitude image.

    By Koay and Basser's inversion. At a low SNR it makes much of small errors: such intensities
    are left out, but for the clearest quarter. A curve with a level of 0 comes back as it is.
    """
    means, levels = np.array(curve.intensities), np.array(curve.sigmas)
    if not (levels > 0).all():
        return curve
    signals, levels = koay_inversion(means, levels, coils)
    ratios = signals / levels
    clear = ratios >= min(_CLEAR, np.quantile(ratios, 1 - _ENOUGH_CLEAR))
    means, levels = means[clear], levels[clear]
    return NoiseCurve(tuple(map(float, means)), tuple(map(float, levels)), curve.chance)


def quietest(curve: NoiseCurve) -> tuple[float, float, float]:
    """Sigma of noise that is the same everywhere: what anatomy adds is texture of some tissues.

    Returns:
        The noise in the quietest tenth of the intensities and in all that exceed it by no more
        than chance, and the levels from and up to which that is; image units. Intensities with
        less than half of the usual noise do not count.
    """
    levels = np.array(curve.sigmas)
    low = _PROCESSED * float(np.median(levels))
    levels = levels[levels >= low]
    # As far above the middle as the lowest tenth of normal errors lies below it.
    high = (1 + 2 * 1.28 * curve.chance) * float(np.quantile(levels, 0.1))
    return float(np.median(levels[levels <= high])), low, high


def tissue_mask(array: NDArray[np.floating], *, units: str = "") -> NDArray[np.bool_]:
    """Where there is something to look at.

    In HU soft tissue (-200 to 200). Else, of an image that is nowhere negative, what is above a
    tenth of its 99th percentile, after a mean over neighbours, so that noise does not choose; of
    one with negative values all. Never the commonest value, if that fills a region.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``.
        units: of the image.

    Returns:
        bool, the same shape.
    """
    from scipy.ndimage import uniform_filter

    finite = np.isfinite(array)
    values = np.where(finite, array, 0).astype(np.float32)
    smooth = uniform_filter(values, 3)
    if units == "HU":
        return np.asarray(finite & (np.abs(smooth) <= 200))
    inside = finite & ~_flat(values)
    if inside.any() and values[finite].min() >= 0:
        inside &= smooth > _AIR * np.percentile(values[inside], 99)
    return np.asarray(inside)


def _flat(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Every voxel of the value that fills most 3-wide boxes, if one fills a hundredth of them."""
    few, _ = thinned(values, np.zeros(values.shape, dtype=bool))
    low = boxes(few, np.minimum)
    constant = low == boxes(few, np.maximum)
    if constant.mean() < 0.01:
        return np.zeros(values.shape, dtype=bool)
    levels, counts = np.unique(low[constant], return_counts=True)
    return np.asarray(values == levels[counts.argmax()])


def boxes(values: NDArray[np.float32], combine: np.ufunc) -> NDArray[np.float32]:
    """``combine`` over the 3-wide box around each voxel, as far as there is image.

    As scipy's minimum and maximum filters, in a tenth of their time.
    """
    for axis in range(values.ndim):
        along = np.moveaxis(values, axis, 0)
        if len(along) == 1:
            continue
        both = combine(along[:-1], along[1:])
        found = np.empty_like(along)
        found[0], found[-1] = both[0], both[-1]
        combine(both[:-1], both[1:], out=found[1:-1])
        values = np.moveaxis(found, 0, axis)
    return values


def thinned(
    array: NDArray[np.floating], mask: NDArray[np.bool_], enough: int = ENOUGH
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """The scan and mask, or of large ones evenly spaced slabs, a plane that does not count between.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``.
        mask: bool, the same shape.
        enough: voxels; not many more are kept.
    """
    length = array.shape[0]
    count = max(1, enough // (_SLAB * (array.size // length)))
    if count * _SLAB >= length:
        return array, mask
    cell = length / count
    kept, counted = [], []
    for k in range(count):
        start = int(cell * (k + 0.5) - _SLAB / 2)
        kept += [array[start : start + _SLAB], np.zeros_like(array[:1])]
        counted += [mask[start : start + _SLAB], np.zeros_like(mask[:1])]
    return np.concatenate(kept), np.concatenate(counted)
