"""Corrects what a filter did by the linear combination with the least expected error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.filters.least_squares import least_squares, product_sums
from meddenoise.filters.spacing import relative_spacing

__all__ = ["WIDTHS", "refined"]

Array = NDArray[np.floating]

WIDTHS = (0.5, 0.7, 1.0, 1.5, 2.5)
"""Standard deviations of the smoothed copies, in voxels of the finest axis."""

# Of sigma, as in risk.py: small beside the noise, and large beside rounding.
_PROBE = 0.1


def refined(
    function: Callable[[Array], Array], noisy: Array, sigma: float, *, spacing: Sequence[float]
) -> Array:
    """A filter's result with its oversmoothing and leftover noise corrected.

    The sum ``f(y) + sum_k a_k F_k(y)`` of the result, the residual ``y - f(y)``, and Gaussian
    smoothed copies of both, whose mean squared error to the unknown truth is expected to be the
    least. By Stein's estimate the expectation is quadratic in the weights, so they follow from
    linear equations (SURE-LET: Blu and Luisier, IEEE TIP 16:2778, 2007); the divergences are
    measured with one random probe, for which the filter runs a second time (Ramani, Blu and
    Unser, IEEE TIP 17:1540, 2008). Thirteen numbers are taken from all voxels, so nothing is
    overfitted; the result as it was is among the choices.

    Right for white Gaussian noise of a known level alone: with too high a sigma it smooths, and
    noise that neighbours share is taken for image and comes back.

    Args:
        function: the filter, of an image of ``noisy``'s shape.
        noisy: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        sigma: the noise's standard deviation in image units.
        spacing: voxel size in mm per axis.

    Returns:
        The same shape and dtype as ``noisy``.
    """
    result = np.asarray(function(noisy))
    if sigma == 0:
        return result.astype(noisy.dtype, copy=False)
    signs = np.random.default_rng(0).choice(np.array([-1, 1], noisy.dtype), noisy.shape)
    step = _PROBE * sigma
    probed = noisy + noisy.dtype.type(step) * signs
    moved = np.asarray(function(probed))
    widths = [[width / ratio for ratio in relative_spacing(spacing)] for width in WIDTHS]

    centre = float(noisy.mean(dtype=np.float64))
    copies = list(_copies(noisy - centre, result - centre, widths))
    changed = _copies(probed - centre, moved - centre, widths)
    divergence = np.array(
        [
            float((signs * (after - before)).sum(dtype=np.float64)) / step
            for before, after in zip(copies, changed, strict=True)
        ]
    )
    flat = [copy.reshape(-1) for copy in copies]
    products, with_noisy = product_sums(flat, (noisy - centre).reshape(-1))
    weights = least_squares(products, with_noisy - sigma**2 * divergence)
    total = sum(weight * copy for weight, copy in zip(weights, copies, strict=True))
    return (np.asarray(total) + centre).astype(noisy.dtype, copy=False)


def _copies(noisy: Array, result: Array, widths: Sequence[Sequence[float]]) -> Iterator[Array]:
    """The result, a constant, the residual, and both smoothed; float32."""
    from scipy.ndimage import gaussian_filter

    image, residual = result.astype(np.float32), (noisy - result).astype(np.float32)
    yield image
    yield np.ones_like(image)
    yield residual
    for width in widths:
        yield gaussian_filter(residual, width)
        yield gaussian_filter(image, width) - image
