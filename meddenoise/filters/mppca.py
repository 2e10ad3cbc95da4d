"""MP-PCA of 4-D scans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.blank import tell_of_blank
from meddenoise.filters.extras import from_dipy
from meddenoise.filters.registry import register_filter
from meddenoise.noise.mppca import distinct_volumes, mppca_sigma

__all__ = ["mppca"]

# Voxels of the smallest patch along an axis that is not too short for one.
_FEWEST = 3


@register_filter("mppca", joint=True)
def mppca(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    patch_radius: int | None = None,
) -> NDArray[np.floating]:
    """4-D scans: the principal components that noise cannot explain, by DIPY.

    In every patch the volumes' eigenvalues below the Marchenko-Pastur bound are dropped; the
    bound comes from the eigenvalues themselves (Veraart et al., NeuroImage 142:394, 2016). Some
    thousand voxels a second. Blank volumes stay as they are, and copies of a volume come out as it
    does: eigenvalues of 0, which they have, would move the bound. Where a volume is blank in a
    patch, the bound comes from the noise of the whole scan; if that cannot be told (of fewer than 6
    volumes, of a small image), the place stays as it is. So do voxels alike in all volumes.

    Args:
        array: ``(C, X, Y, Z)``, finite, at least two channels.
        spacing: voxel size in mm per axis; not used.
        sigma_noise: standard deviation of the noise in image units, to take the bound from
            instead.
        patch_radius: in voxels, patches being ``2 patch_radius + 1`` wide, and as wide as the
            image at most. By default 2, or more if there would be no more voxels than volumes.
            Of volumes only those count that are compared.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: patch_radius below 1; all volumes but one are blank or copies of it; fewer
            than 3 voxels along every axis.
        MissingDependency: DIPY is not installed.
    """
    if patch_radius is not None and patch_radius < 1:
        raise ParameterError(f"patch_radius is {patch_radius}: it is at least 1.")
    tell_of_blank(array)
    alike = distinct_volumes(array)
    if sigma_noise == 0 or not alike:
        return array.copy()
    if len(alike) == 1:
        raise ParameterError(
            f"'mppca' compares volumes, and of {len(array)} here only one is neither blank nor a "
            "copy of another: take another method."
        )
    if len(alike) == len(array):
        return _filtered(array, sigma_noise, patch_radius)
    result = array.copy()
    cleaned = _filtered(array[[which[0] for which in alike]], sigma_noise, patch_radius)
    for volume, which in zip(cleaned, alike, strict=True):
        result[which] = volume
    return result


def _filtered(
    array: NDArray[np.floating], sigma_noise: float | None, patch_radius: int | None
) -> NDArray[np.floating]:
    """Volumes that differ, by DIPY."""
    if max(array.shape[1:]) < _FEWEST:
        raise ParameterError(
            f"'mppca' looks at patches of at least {_FEWEST} voxels along an axis, and the image "
            f"has {' x '.join(map(str, array.shape[1:]))}: take another method."
        )
    if patch_radius is None:
        patch_radius = 2
        while (2 * patch_radius + 1) ** 3 <= len(array):
            patch_radius += 1
    local = from_dipy("denoise.localpca", method="mppca")
    # DIPY clips at 0 what it returns; components do not depend on where 0 is.
    low, high = float(array.min()), float(array.max())
    offset = 2 * low - high
    # Nor on the unit, in which squares are to be numbers: a power of two divides without rounding.
    unit = array.dtype.type(2.0 ** np.rint(np.log2(high - low)))
    volumes_last = (np.moveaxis(array, 0, -1) - array.dtype.type(offset)) / unit
    radius = np.array([min(patch_radius, (n - 1) // 2) for n in array.shape[1:]])

    def denoised(where: NDArray[np.bool_], level: float | None) -> NDArray[np.floating]:
        with np.errstate(invalid="ignore"):  # where no patch reaches
            cleaned = local.genpca(
                volumes_last,
                sigma=None if level is None else level / float(unit),
                mask=where | _middles(where, radius),
                patch_radius=radius,
                suppress_warning=True,
            )
        found = np.moveaxis(cleaned, -1, 0) * unit + array.dtype.type(offset)
        return np.where(where & np.isfinite(found), found, array)

    measured = (array != array[0]).any(axis=0)
    if sigma_noise is not None:
        return denoised(measured, float(sigma_noise))
    blank = measured & _blank(array, radius)
    result = denoised(measured & ~blank, None)
    if blank.any() and (level := _level(array, measured)) is not None:
        result = np.where(blank, denoised(blank, level), result)
    return result


def _blank(array: NDArray[np.floating], radius: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where some volume is constant all over the patch around a voxel, or that nearest to it."""
    from scipy.ndimage import maximum_filter, minimum_filter

    size = tuple(2 * radius + 1)
    found = np.zeros(array.shape[1:], dtype=bool)
    for volume in array:
        found |= maximum_filter(volume, size) == minimum_filter(volume, size)
    return found[_nearest(found.shape, radius)]


def _middles(where: NDArray[np.bool_], radius: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The voxels in the middle of the patch around each voxel, or of that nearest to it.

    Near a border that is another voxel, which need not be among those that are denoised.
    """
    found = np.zeros_like(where)
    nearest = np.broadcast_arrays(*_nearest(where.shape, radius))
    found[tuple(middle[where] for middle in nearest)] = True
    return found


def _nearest(shape: tuple[int, ...], radius: NDArray[np.int64]) -> tuple[NDArray[np.intp], ...]:
    """For each voxel the index of the middle of the patch nearest to it."""
    return np.ix_(
        *(np.clip(np.arange(n), r, n - 1 - r) for n, r in zip(shape, radius, strict=True))
    )


def _level(array: NDArray[np.floating], mask: NDArray[np.bool_]) -> float | None:
    """The noise of the whole scan, if it can be told."""
    try:
        return mppca_sigma(array, mask=mask)
    except ParameterError:
        return None
