"""Puts back from the residual what is stronger than the noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.noise.curve import estimate_curve

__all__ = ["restore"]

# Voxels whose mean says how strong the residual is there, and how far it is off in the mean.
_LOCAL = 150
_BROAD = 3000

# A residual of nothing but noise is up to a tenth stronger than expected by chance alone.
_MARGIN = 1.1


def restore(
    noisy: NDArray[np.floating],
    denoised: NDArray[np.floating],
    valid: NDArray[np.bool_] | None = None,
) -> NDArray[np.floating]:
    """A denoised image with the structure that its residual still holds.

    A network trained with blind spots guesses each voxel from its neighbours. Where they do not
    tell (an edge of bone, a vessel one voxel wide) the guess is worse than the voxel itself.
    There the residual r = noisy - denoised is stronger than the noise, and so it is seen:

    1. its mean over some 3,000 voxels is added back: noise has none, a shift of HU has;
    2. of the rest, the share ``max(0, 1 - 1.1 sigma^2 / <r^2>)`` is added back, with ``<r^2>``
       over some 150 voxels and sigma the noise at that intensity, estimated from the image.

    The second is the minimum mean square error estimate from local statistics (Lee, IEEE PAMI
    2:165, 1980, equation 8) applied to the residual, and what combining a blind-spot guess with
    the voxel's own value comes to (Laine et al., NeurIPS 2019, section 3). Noise stays where
    the guess was not trusted. Noise that is correlated between voxels is underestimated, and
    more of it put back.

    Args:
        noisy: ``(X, Y)`` or ``(X, Y, Z)``, image units; finite.
        denoised: the same shape and unit.
        valid: bool, which voxels were measured; the others say nothing.

    Returns:
        The same shape and dtype as ``denoised``.

    Raises:
        ParameterError: the image is too small to estimate its noise.
    """
    inside = None if valid is None or bool(valid.all()) else valid
    curve = estimate_curve(noisy, denoised, mask=inside)
    clean = denoised.astype(np.float32)
    residual = noisy.astype(np.float32) - clean
    if inside is not None:
        residual[~inside] = 0
    shift = _mean(residual, _BROAD, inside)
    residual -= shift
    strength = _mean(residual**2, _LOCAL, inside)
    noise = _MARGIN * curve(clean) ** 2
    # No residual at all: nothing to put back.
    kept = np.divide(noise, strength, out=np.ones_like(noise), where=strength > 0)
    share = np.clip(1 - kept, 0, 1)
    return (clean + shift + share * residual).astype(denoised.dtype, copy=False)


def _mean(
    values: NDArray[np.float32], voxels: int, inside: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """A Gaussian mean with as much noise as one over so many voxels, of the measured ones."""
    from scipy.ndimage import gaussian_filter

    width = _width(voxels, values.shape)
    mean: NDArray[np.float32] = gaussian_filter(values, width, mode="mirror")
    if inside is None:
        return mean
    weight = gaussian_filter(inside.astype(np.float32), width, mode="mirror")
    return np.divide(mean, weight, out=np.zeros_like(mean), where=weight > 1e-3)


def _width(voxels: int, shape: Sequence[int]) -> float:
    """The Gaussian's standard deviation: its mean over n axes is one of (2 sqrt(pi) s)^n."""
    axes = sum(n > 1 for n in shape)
    return float(voxels ** (1 / max(axes, 1)) / (2 * math.sqrt(math.pi)))
