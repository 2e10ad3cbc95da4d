"""Wavelet shrinkage."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.registry import register_filter
from meddenoise.filters.spacing import slice_axis
from meddenoise.noise.wavelet_mad import estimate_sigma

__all__ = ["wavelet"]

_RULES = {"bayes": ("BayesShrink", "soft"), "visu": ("VisuShrink", "hard")}


@register_filter("wavelet", noise=True)
def wavelet(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    rule: Literal["bayes", "visu"] = "bayes",
    family: str = "sym4",
    levels: int = 3,
    shifts: int = 2,
) -> NDArray[np.floating]:
    """Wavelet shrinkage, averaged over shifts of the image, by scikit-image.

    Averaging over shifts ("cycle spinning", Coifman and Donoho 1995) removes the blocks that one
    transform leaves. Thresholds hang on whole bands, so a big image runs in one piece. Of a volume
    with thick slices, more than twice as long as the finest voxel side, each slice is filtered on
    its own.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis.
        sigma_noise: standard deviation of the noise in image units; estimated if None.
        rule: ``"bayes"``, a soft threshold for each band by its contents (Chang et al., IEEE TIP
            9:1532, 2000), or ``"visu"``, one hard threshold ``sigma sqrt(2 ln n)`` (Donoho and
            Johnstone 1994), which removes more.
        family: a wavelet that PyWavelets knows, such as ``"db2"``.
        levels: of the transform; fewer where the image is too small.
        shifts: per axis, from 0 on; ``shifts`` to the power of the axes transforms are averaged.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: no such wavelet, levels or shifts below 1; the noise is not given and the
            image too small to estimate it.
    """
    import pywt
    from skimage.restoration import denoise_wavelet

    if family not in pywt.wavelist(kind="discrete"):
        raise ParameterError(
            f"family is '{family}': it is a discrete wavelet of PyWavelets, such as db2 or sym4."
        )
    if rule not in _RULES:
        raise ParameterError(f"rule is '{rule}': it is one of {', '.join(_RULES)}.")
    for name, value in (("levels", levels), ("shifts", shifts)):
        if value < 1:
            raise ParameterError(f"{name} is {value}: it is at least 1.")
    sigma = estimate_sigma(array) if sigma_noise is None else sigma_noise
    if sigma == 0:
        return array.copy()
    method, mode = _RULES[rule]
    across = slice_axis(spacing)
    lengths = [n for axis, n in enumerate(array.shape) if axis != across]
    deep = max(1, min(levels, *(pywt.dwt_max_level(n, family) for n in lengths)))

    def shrunk(image: NDArray[np.floating]) -> NDArray[np.floating]:
        found: NDArray[np.floating] = denoise_wavelet(
            image,
            sigma=1.0 if across is None else [1.0] * image.shape[across],
            wavelet=family,
            mode=mode,
            wavelet_levels=deep,
            method=method,
            channel_axis=across,
            rescale_sigma=False,
        )
        return found

    # In units of sigma: scikit-image keeps single precision.
    centre = float(np.mean(array, dtype=np.float64))
    scaled = (array - array.dtype.type(centre)) / array.dtype.type(sigma)
    with warnings.catch_warnings():
        # Of an image smaller than the wavelet, whose border then counts for much.
        warnings.filterwarnings("ignore", "Level value of", UserWarning)
        smooth = _spun(shrunk, scaled, [1 if a == across else shifts for a in range(array.ndim)])
    return np.asarray(smooth * sigma + centre, dtype=array.dtype)


def _spun(
    function: Callable[[NDArray[np.floating]], NDArray[np.floating]],
    array: NDArray[np.floating],
    shifts: Sequence[int],
) -> NDArray[np.floating]:
    """The mean of ``function`` over all shifts of the image, continued by its first voxels."""
    padded = np.pad(array, [(n - 1, 0) for n in shifts], mode="edge")
    total = np.zeros_like(array)
    for shift in itertools.product(*(range(n) for n in shifts)):
        part = tuple(slice(n - 1 - s, None) for n, s in zip(shifts, shift, strict=True))
        total += function(padded[part])[tuple(slice(s, None) for s in shift)]
    total /= np.prod(shifts)
    return total
