"""Whether a residual is stronger where the anatomy has its edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import as_floats, checked_mask, image_values, mean_filled

__all__ = ["gradient_correlation"]

_SCALE = 1.0
_FEWEST = 1000


def gradient_correlation(
    residual: ArrayLike,
    image: ArrayLike,
    *,
    mask: NDArray[np.bool_] | None = None,
) -> float:
    """Pearson correlation of the residual's local strength with the image's gradient.

    The strength is the absolute value of the residual after a Gaussian mean over sigma 1 voxel,
    which keeps what is alike among neighbours; the gradient is the magnitude of the Gaussian
    derivatives of sigma 1. Noise of the same strength everywhere gives 0 within chance
    (about 3 / sqrt(voxels / 10), as neighbours are alike after the mean); edges in the residual
    give more. Noise that is stronger where edges are (counted photons; the brain's rim with many
    coils) gives more as well: see :func:`meddenoise.evaluation.residual.residual_structure`, which
    takes a map of sigma.

    Args:
        residual: noisy minus denoised, ``(X, Y)`` or ``(X, Y, Z)``.
        image: where edges are looked for: the reference if there is one, else the denoised image;
            never the noisy one, whose own noise would agree with the residual.
        mask: bool, the same shape.

    Raises:
        ParameterError: shapes that differ, fewer than 1000 voxels, or a residual or an image
            without variation.
    """
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    taken, shown = (as_floats(image_values(a)) for a in (residual, image))
    if taken.shape != shown.shape:
        raise ParameterError(f"The residual has shape {taken.shape}, the image {shown.shape}.")
    finite = np.isfinite(taken) & np.isfinite(shown)
    counted = finite & checked_mask(mask, taken.shape)
    if np.count_nonzero(counted) < _FEWEST:
        raise ParameterError(f"There are fewer than {_FEWEST} voxels to look for structure in.")
    if not finite.all():
        shown = mean_filled(shown, finite)
        taken = np.where(finite, taken, 0.0)
    centre = taken[counted].mean(dtype=np.float64).astype(taken.dtype)
    strength = np.abs(gaussian_filter(taken - centre, _SCALE))[counted]
    edges = gaussian_gradient_magnitude(shown, _SCALE)[counted]
    if np.ptp(strength) == 0 or np.ptp(edges) == 0:
        raise ParameterError("The residual or the image is constant: nothing to correlate.")
    for values in (strength, edges):  # Pearson's, without copies in double precision
        values -= values.mean(dtype=np.float64)
        values /= values.std(dtype=np.float64)
    return float((strength * edges).mean(dtype=np.float64))
