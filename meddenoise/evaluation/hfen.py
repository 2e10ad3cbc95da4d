"""The high-frequency error norm."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import filled_pair

__all__ = ["hfen"]

_SIGMA = 1.5
_TAPS = 15


def hfen(reference: ArrayLike, image: ArrayLike, *, mask: NDArray[np.bool_] | None = None) -> float:
    """``||LoG(image) - LoG(reference)|| / ||LoG(reference)||``, of edges and fine detail.

    LoG is the rotationally symmetric Laplacian of a Gaussian, 15 taps, sigma 1.5 voxels
    (Ravishankar and Bresler, IEEE Trans Med Imaging 30:1028, 2011), its taps adding up to 0 as in
    ``fspecial("log")``, in as many dimensions as the image has; an axis of fewer than 15
    voxels is taken slice by slice. 0 for identical images; above 1
    where there is more error than detail.

    Args:
        reference: the truth, ``(X, Y)`` or ``(X, Y, Z)``.
        image: what is judged, the same shape and unit.
        mask: bool, the same shape: over which voxels both norms are taken.

    Raises:
        ParameterError: as :func:`meddenoise.evaluation.ssim`, or a reference without any detail.
    """
    truth, judged, counted = filled_pair(reference, image, mask, name="HFEN")
    axes = [axis for axis, length in enumerate(truth.shape) if length >= _TAPS]
    axes = axes if len(axes) > 1 else list(range(truth.ndim))
    detail = _log(truth, axes)[counted]
    whole = float(np.linalg.norm(detail))
    size = float(np.abs(truth[counted]).max())
    if whole <= 1e-12 * size * np.sqrt(detail.size):
        raise ParameterError("HFEN is undefined: the reference is constant there.")
    return float(np.linalg.norm(_log(judged - truth, axes)[counted])) / whole


def _log(values: NDArray[np.float64], axes: list[int]) -> NDArray[np.float64]:
    """The Laplacian of a Gaussian; the border is repeated outwards, which makes no edge."""
    from scipy.ndimage import correlate1d, uniform_filter1d

    x = np.arange(_TAPS) - _TAPS // 2
    bell = np.exp(-(x**2) / (2 * _SIGMA**2))
    bell /= bell.sum()
    curve = (x**2 / _SIGMA**4 - 1 / _SIGMA**2) * bell
    total = np.zeros_like(values)
    for axis in axes:
        part = correlate1d(values, curve, axis, mode="nearest")
        for other in axes:
            if other != axis:
                part = correlate1d(part, bell, other, mode="nearest")
        total += part
    # What the taps add up to is taken from all of them alike.
    mean = values
    for axis in axes:
        mean = uniform_filter1d(mean, _TAPS, axis, mode="nearest")
    return total - len(axes) * curve.sum() * mean
