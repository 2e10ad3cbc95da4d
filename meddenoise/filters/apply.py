"""A filter over a whole scan, around voxels that were not measured."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.level import told_noise
from meddenoise.filters.registry import (
    asks_correlation,
    checked_options,
    filter_options,
    get_filter,
    is_joint,
)
from meddenoise.noise.correlation import Correlation
from meddenoise.noise.stabilise import find_stabilisation
from meddenoise.volume import Volume

__all__ = ["apply_filter", "fill_invalid"]

# Widths in voxels of the boxes whose mean fills a hole: small holes from close by, and the
# rim of large ones as far in as filters look.
_BOXES = (3, 9)


def apply_filter(
    volume: Volume,
    name: str,
    *,
    sigma_noise: float | None = None,
    correlation: Correlation | None = None,
    stabilise: str = "none",
    coils: int = 1,
    **options: Any,
) -> Volume:
    """Denoise a scan by a registered filter.

    Each channel is filtered on its own, unless the filter is one of all volumes of a 4-D scan.
    Voxels that are not finite or padding are filled from their surroundings first and come out
    exactly as they were.

    Args:
        volume: the scan; not modified.
        name: one of :func:`meddenoise.filters.filter_names`.
        sigma_noise: the noise's standard deviation in the image's units, for filters that ask
            for it, and for the stabilisation of Rician noise; estimated if None.
        correlation: of the noise between a voxel and its neighbours, for filters that ask for it;
            measured if None.
        stabilise: ``"auto"``, ``"none"``, ``"rician"`` or ``"anscombe"``: filter the scan with
            its noise stabilised to a sigma of 1, and bring the result back without bias; see
            :func:`meddenoise.noise.find_stabilisation`. The filter's options in image units then
            are in units of sigma.
        coils: whose sum of squares a magnitude image is, for its stabilisation.
        options: the filter's own, such as ``sigma=1.5`` for ``"gaussian"``.

    Returns:
        A volume of the same array type with a line of history.

    Raises:
        ConfigError: no such filter or option.
        ParameterError: an impossible option, a filter that changes the grid or makes no finite real
            numbers, one of 4-D scans on another, or a stabilisation that does not fit the scan.
        MissingDependency: the filter needs an optional package.
    """
    function = get_filter(name)
    checked = checked_options(name, options)
    if sigma_noise is not None and not (np.isfinite(sigma_noise) and sigma_noise >= 0):
        raise ParameterError(
            f"sigma_noise is {sigma_noise:g}: it is finite and at least 0, in image units."
        )
    around = find_stabilisation(volume, stabilise, sigma=sigma_noise, coils=coils)
    if around.why:
        warnings.warn(around.why, stacklevel=2)
    if around.method != "none" and checked.get("rician"):
        raise ParameterError(
            f"'{name}' with rician=true takes the bias of Rician noise away, and so does the "
            "stabilisation: take one of the two."
        )
    told = told_noise(
        volume, name, checked, sigma=sigma_noise, correlation=correlation, around=around
    )
    given = {"spacing": volume.spacing, **checked}

    # A filter with a floor is to leave alone what no stabilisation makes Gaussian.
    asks_floor = "floor" in filter_options(name) and checked.get("floor") is None

    def given_to(array: NDArray[np.floating]) -> NDArray[np.floating]:
        # A user's filter may write into what it is given, which may be the scan itself.
        ours = str(getattr(function, "__module__", "")).startswith("meddenoise.")
        return array if ours and not hasattr(function, "__wrapped__") else array.copy()

    def filtered(
        array: NDArray[np.floating], measured: NDArray[np.bool_], channel: int = 0
    ) -> NDArray[np.floating]:
        more: dict[str, Any] = {"floor": around.floor(channel)} if asks_floor else {}
        if asks_correlation(name):
            more["correlation"] = told.correlations[channel]
        level = told.sigmas[channel]
        found = np.asarray(function(given_to(array), sigma_noise=level, **{**given, **more}))
        if found.shape != array.shape:
            raise ParameterError(
                f"The filter '{name}' turned shape {array.shape} into {found.shape}: a "
                "denoiser keeps the grid."
            )
        if found.dtype.kind not in "fiub":
            raise ParameterError(
                f"The filter '{name}' made values of type {found.dtype}: a denoiser makes real "
                "numbers."
            )
        with np.errstate(over="ignore"):
            found = found.astype(array.dtype, copy=False)
        if not (np.isfinite(found) | ~measured).all():
            raise ParameterError(
                f"The filter '{name}' made values that are not finite, of an image that is: "
                "rescale the scan, or take other options or another method."
            )
        return found

    valid, result = volume.valid, volume.array.copy()
    if is_joint(name):
        _check_joint(volume, name)
        if valid.any():
            filled = _fill_channels(volume.array, valid)
            if around.method != "none":
                filled = np.stack([around.forward(array, c) for c, array in enumerate(filled)])
            found = filtered(filled, valid)
            for channel, measured in enumerate(valid):
                result[channel][measured] = around.inverse(found[channel], channel)[measured]
    else:
        for channel, measured in enumerate(valid):
            if measured.any():
                filled = around.forward(fill_invalid(volume.array[channel], measured), channel)
                found = around.inverse(filtered(filled, measured, channel), channel)
                result[channel][measured] = found[measured]
    settings = "".join(f", {key} {value}" for key, value in {**checked, **told.noted}.items())
    return volume.with_array(result, note=f"filtered by {name}{settings}")


def _check_joint(volume: Volume, name: str) -> None:
    if volume.dims != 3 or volume.channels < 2:
        kind = "a picture" if volume.dims == 2 else "one volume"
        raise ParameterError(
            f"'{name}' compares the volumes of a 4-D scan (diffusion, functional) with each other, "
            f"and this is {kind}: take another method."
        )


def _fill_channels(array: NDArray[np.floating], valid: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Each channel filled on its own; one without any measured voxel becomes 0."""
    if valid.all():
        return array
    filled = np.zeros_like(array)
    for channel, measured in enumerate(valid):
        if measured.any():
            filled[channel] = fill_invalid(array[channel], measured)
    return filled


def fill_invalid(array: NDArray[np.floating], valid: NDArray[np.bool_]) -> NDArray[np.floating]:
    """``array`` with a local mean of valid voxels wherever ``valid`` is False.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``; not modified.
        valid: bool, the same shape, True somewhere.

    Returns:
        A finite array of the same dtype: the mean over a box 3 voxels wide around a hole, 9
        where that holds no valid voxel, and the whole image's mean farther in.
    """
    if valid.all():
        return array
    from scipy.ndimage import uniform_filter

    known = np.where(valid, array, 0).astype(np.float64)
    filled = array.copy()
    missing = ~valid
    for width in _BOXES:
        share = uniform_filter(valid.astype(np.float64), width, mode="constant")
        total = uniform_filter(known, width, mode="constant")
        # Less than half a voxel is rounding left over from the running sum.
        near = missing & (share * width**array.ndim > 0.5)
        filled[near] = total[near] / share[near]
        missing &= ~near
    filled[missing] = array[valid].mean(dtype=np.float64)
    return filled
