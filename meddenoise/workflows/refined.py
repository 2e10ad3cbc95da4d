"""``--method bm4d_refined`` and ``ensemble_refined``: a filter, and what is learnt from the scan of
what it left undone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters import bm4d, register_filter
from meddenoise.noise.correlation import Correlation
from meddenoise.noise.wavelet_mad import estimate_sigma
from meddenoise.workflows.ensemble import Both, Effort

if TYPE_CHECKING:
    from meddenoise.training.refine import Filter, Refined

__all__ = ["NOT_LEARNT", "bm4d_refined", "ensemble_refined", "why_not_learnt"]

NOT_LEARNT = (
    "The noise is correlated between voxels, and would be learnt for anatomy from this scan alone: "
    "the training is left out."
)
"""A warning."""


@register_filter("bm4d_refined", noise=True)
def bm4d_refined(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    correlation: Correlation | None = None,
    seconds: float = 120.0,
    seed: int = 0,
    device: str = "auto",
    floor: float | None = None,
) -> NDArray[np.floating]:
    """BM4D, corrected by what can be learnt from the scan itself; better with time.

    By a few numbers and a network, see :func:`meddenoise.training.refine.refine`. Right for
    Gaussian noise, as BM4D is. Where neither is better than chance makes it, the result is BM4D's,
    and so it is, with a warning, where the noise is correlated: it would be learnt for anatomy.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis.
        sigma_noise: standard deviation of the noise in image units; estimated if None.
        correlation: of the noise between a voxel and its neighbours, for BM4D; white if None.
        seconds: for filtering and training together; each channel of a 4-D scan takes so long.
        seed: of all random numbers.
        device: for the network.
        floor: darker voxels are BM4D's own; around a Rician stabilisation those of an SNR below 2,
            whose noise is not Gaussian even then.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: seconds not above 0, an impossible seed, or an image too small to estimate
            its noise.
    """

    def first(noisy: NDArray[np.floating], sigma: float) -> NDArray[np.floating]:
        return bm4d(noisy, spacing=spacing, sigma_noise=sigma, correlation=correlation)

    how = {"seconds": seconds, "spacing": spacing, "seed": seed, "device": device, "floor": floor}
    return _refined(array, first, sigma_noise, correlation, how)


@register_filter("ensemble_refined", noise=True)
def ensemble_refined(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    correlation: Correlation | None = None,
    seconds: float = 120.0,
    seed: int = 0,
    device: str = "auto",
    floor: float | None = None,
) -> NDArray[np.floating]:
    """The ensemble, corrected by what can be learnt from the scan itself.

    Args, result and errors are those of :func:`bm4d_refined`; beyond them:

    Raises:
        ParameterError: as there.
        ModelError: the weights that ship are missing or altered.
    """
    learns = correlation is None or not correlation.axes
    both = Both.loaded(
        array.shape,
        spacing=spacing,
        device=device,
        floor=floor,
        correlation=correlation,
        effort=Effort.within(array.shape, seconds, learns=learns),
    )
    how = {"seconds": seconds, "spacing": spacing, "seed": seed, "device": device, "floor": floor}
    how["others"] = both.others_within(array.shape, seconds)
    return _refined(array, both.mean, sigma_noise, correlation, how)


def _refined(
    array: NDArray[np.floating],
    first: Filter,
    sigma: float | None,
    correlation: Correlation | None,
    how: Mapping[str, Any],
) -> NDArray[np.floating]:
    """``how``: what :func:`meddenoise.training.refine.refine` is told beside."""
    from meddenoise.training.refine import refine

    if not 0 <= how["seed"] < 2**63:
        raise ParameterError(f"seed is {how['seed']}: it is a whole number from 0 to 2^63 - 1.")
    sigma = estimate_sigma(array, correlation=correlation) if sigma is None else sigma
    if sigma == 0:
        return array.copy()
    if correlation is not None and correlation.axes:
        warnings.warn(NOT_LEARNT, stacklevel=4)
        return np.asarray(first(array, sigma), dtype=array.dtype)
    found = refine(array, first, sigma=sigma, **how)
    if not (found.refined or found.recombined):
        warnings.warn(why_not_learnt(found), stacklevel=4)
    return found.image


def why_not_learnt(found: Refined) -> str:
    """A warning for a result in which nothing that was learnt from the scan has a say."""
    if found.steps:
        return (
            "What was learnt from the scan itself is no better on the part that was held out: the "
            "result is as it would be without training."
        )
    return (
        "Nothing was learnt from the scan itself: it is too small for a part to be held out, its "
        "noise is not as strong as it was taken to be, or there was too little time. The result is "
        "as it would be without training."
    )
