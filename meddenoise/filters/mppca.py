"""MP-PCA of 4-D scans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.extras import from_dipy
from meddenoise.filters.registry import register_filter
from meddenoise.noise.mppca import distinct_volumes

__all__ = ["mppca"]


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
    does: eigenvalues of 0, which they have, would move the bound.

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
        ParameterError: patch_radius below 1; all volumes but one are blank or copies of it.
        MissingDependency: DIPY is not installed.
    """
    if patch_radius is not None and patch_radius < 1:
        raise ParameterError(f"patch_radius is {patch_radius}: it is at least 1.")
    alike = distinct_volumes(array)
    if sigma_noise == 0 or not alike:
        return array.copy()
    if len(alike) == 1:
        raise ParameterError(
            f"All {len(array)} volumes but one are blank or copies of it, so that 'mppca' has none "
            "to compare: take another method."
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
    if patch_radius is None:
        patch_radius = 2
        while (2 * patch_radius + 1) ** 3 <= len(array):
            patch_radius += 1
    local = from_dipy("denoise.localpca", method="mppca")
    # DIPY clips at 0 what it returns; components do not depend on where 0 is.
    low, high = float(array.min()), float(array.max())
    offset = 2 * low - high
    volumes_last = np.moveaxis(array, 0, -1) - array.dtype.type(offset)
    radius = np.array([min(patch_radius, (n - 1) // 2) for n in array.shape[1:]])
    cleaned = local.genpca(
        volumes_last,
        sigma=None if sigma_noise is None else float(sigma_noise),
        patch_radius=radius,
        suppress_warning=True,
    )
    return np.ascontiguousarray(np.moveaxis(cleaned, -1, 0) + array.dtype.type(offset))
