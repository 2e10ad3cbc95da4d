"""How strong the noise of a scan is, from the scan alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.noise.correlation import Correlation
from meddenoise.noise.finest_band import NORMAL_MAD, WIDTH, finest_band, sampled_parts

__all__ = ["estimate_sigma"]

_FEWEST = 32
# Who asks for sigma takes its square, in double precision.
_LARGEST = 1e150


def estimate_sigma(
    array: NDArray[np.generic],
    *,
    mask: NDArray[np.bool_] | None = None,
    correlation: Correlation | None = None,
) -> float:
    """Standard deviation of white noise, by the wavelet MAD estimate.

    ``sigma = median|d| / 0.6745`` over the finest diagonal band d of a db2 wavelet
    transform (Donoho and Johnstone, Biometrika 81:425, 1994), undecimated: there anatomy
    leaves little, and the median ignores the few edges. In 3-D the band is diagonal in all
    three axes. A flat background (the commonest value that fills a whole filter support, as
    where a scan was masked to 0), its border, and non-finite voxels say nothing about noise
    and are left out.

    It assumes noise independent between voxels: interpolated, filtered or zero-filled scans
    and reconstructed CT have less in this band, and the estimate is then too low, unless the
    correlation is given. In the air around a magnitude MR image the noise is Rayleigh, its
    spread 0.655 sigma: give a foreground mask where there is much air.

    Args:
        array: one scan, ``(X, Y)`` or ``(X, Y, Z)``, any unit. Axes of fewer than 4 voxels
            are gone through slice by slice; of more than 8 million voxels, evenly spaced
            slabs are looked at.
        mask: bool, ``array``'s shape; only coefficients whose support lies within count.
        correlation: of the noise between a voxel and its neighbours; white if None.

    Returns:
        sigma in the image's units; 0.0 where it is no more than the rounding of the largest
        value, as in a constant image or a mask of zeros and ones.

    Raises:
        ParameterError: no 2-D or 3-D image, a mask of another shape, or hardly a place
            (fewer than 32) with 4 voxels along each axis to look at, or values above 1e150.
    """
    if array.ndim not in (2, 3):
        raise ParameterError(
            f"Noise is estimated on one scan of 2 or 3 axes, not of shape {array.shape}."
        )
    if mask is not None and mask.shape != array.shape:
        raise ParameterError(f"The mask has shape {mask.shape}, the image {array.shape}.")
    axes = [axis for axis, length in enumerate(array.shape) if length >= WIDTH]
    usable = np.isfinite(array)
    if mask is not None:
        usable &= mask.astype(bool)
    if len(axes) < 2:
        raise ParameterError(
            f"An image of shape {array.shape} is too small to estimate its noise: it needs at "
            "least 4 voxels along two axes."
        )
    parts = sampled_parts(array.shape, axes[0])
    largest = max(_largest(array[part], usable[part]) for part in parts)
    if largest > _LARGEST:
        raise ParameterError(
            f"The image has values of {largest:.3g}, too large to estimate its noise: rescale it, "
            "or mask them."
        )
    bands = (finest_band(array[part], usable[part], axes) for part in parts)
    coefficients = np.concatenate([np.abs(band[counts]) for band, counts in bands])
    if coefficients.size < _FEWEST:
        seen = array[np.isfinite(array) if mask is None else np.isfinite(array) & mask]
        if seen.size >= _FEWEST and (seen == seen[0]).all():
            return 0.0
        raise ParameterError(
            "There is too little image to estimate noise from: fewer than 32 places with 4 "
            "valid voxels along each axis that are not flat background."
        )
    seen_of_it = 1.0 if correlation is None else correlation.response(axes)
    sigma = float(np.median(coefficients) / NORMAL_MAD / seen_of_it**0.5)
    # The band is computed in double precision. Filters divide by sigma, and not by rounding.
    return 0.0 if sigma < np.finfo(np.float64).eps * largest else sigma


def _largest(array: NDArray[np.generic], usable: NDArray[np.bool_]) -> float:
    return float(np.max(np.abs(array), where=usable, initial=0))
