"""Patch2Self of 4-D scans."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.blank import tell_of_blank
from meddenoise.filters.extras import from_dipy
from meddenoise.filters.registry import register_filter
from meddenoise.io.named import path_of
from meddenoise.noise.mppca import distinct_volumes

__all__ = ["patch2self"]

# In s/mm^2: what scanners call 0 may be a little above it.
_UNWEIGHTED = 50.0

# Below that, DIPY warns too.
_FEW = 10


@register_filter("patch2self", joint=True)
def patch2self(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    b_values: list[float] | str | None = None,
) -> NDArray[np.floating]:
    """4-D scans: each volume as all the others predict it, by DIPY.

    Least squares over all voxels; noise that is independent between volumes cannot be predicted
    (Fadnavis et al., NeurIPS 2020). Noise that volumes share stays. The more volumes the better;
    below ten there is a warning. Blank volumes stay as they are, and copies of a volume come out as
    it does: it would predict them with all their noise.

    Args:
        array: ``(C, X, Y, Z)``, finite, at least two channels.
        spacing: voxel size in mm per axis; not used.
        sigma_noise: not used: the method needs no estimate.
        b_values: of each volume in s/mm^2, or a ``.bval`` file of them. Volumes up to b = 50 are
            predicted from each other only, and a single one stays as it is. By default all
            volumes are taken together.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: another number of b-values than of volumes, a file that holds none, or no
            more voxels than volumes.
        MissingDependency: DIPY is not installed.
    """
    weighted = np.ones(len(array), bool)
    if b_values is not None:
        weighted = _numbers(b_values, len(array)) > _UNWEIGHTED
    method = from_dipy("denoise.patch2self", method="patch2self").patch2self
    tell_of_blank(array)
    result = array.copy()
    for group, kind in (
        (weighted, " with diffusion weighting"),
        (~weighted, " without diffusion weighting"),
    ):
        numbers = np.flatnonzero(group)
        alike = [numbers[which] for which in distinct_volumes(array[group])]
        count = len(alike)
        if count < 2:
            continue
        if array[0].size <= count:
            raise ParameterError(
                f"patch2self fits {count} volumes by least squares, and they have {array[0].size} "
                "voxels: more voxels than volumes are needed."
            )
        if count < _FEW:
            warnings.warn(
                f"patch2self has only {count} volumes{'' if group.all() else kind} to predict each "
                "from the others: look at the residual, as anatomy may be in it.",
                stacklevel=2,
            )
        cleaned = _predicted(array[[which[0] for which in alike]], method)
        for volume, which in zip(cleaned, alike, strict=True):
            result[which] = volume
    return result


def _predicted(array: NDArray[np.floating], method: Callable[..., Any]) -> NDArray[np.floating]:
    """Each of the volumes ``(C, X, Y, Z)`` by DIPY from all the others."""
    # Without its mean: DIPY lets scikit-learn centre the regressors in place and then predicts
    # from those, which shifts every volume unless they are centred already.
    means = array.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64).astype(array.dtype)
    centred = array - means
    # The solver takes very small values for none, and squares of very large ones are no numbers.
    # A power of two divides without rounding.
    unit = array.dtype.type(2.0 ** np.rint(np.log2(np.abs(centred).max())))
    given = centred / unit
    # DIPY squeezes all axes of one voxel but the first; the same voxels twice predict the same.
    for axis in [axis for axis in (1, 2, 3) if array.shape[axis] == 1][1:]:
        given = np.repeat(given, 2, axis)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The input data has less than", UserWarning)
        # Version 1 is the exact one: version 3 solves for a random sketch of the voxels.
        found = method(
            np.moveaxis(given, 0, -1),
            np.full(len(array), 2 * _UNWEIGHTED),
            b0_threshold=_UNWEIGHTED,
            model="ols",
            shift_intensity=False,
            clip_negative_vals=False,
            version=1,
        )
    once = np.moveaxis(found, -1, 0)[tuple(slice(n) for n in array.shape)]
    return np.asarray(once * unit + means, dtype=array.dtype)


def _numbers(b_values: Sequence[float] | str, count: int) -> NDArray[np.float64]:
    if isinstance(b_values, str):
        try:
            words = path_of(b_values).read_text(encoding="utf-8").split()
            found = np.array([float(word) for word in words])
        except (OSError, ValueError) as fault:
            raise ParameterError(
                f"b_values is '{b_values}', which is no file of b-values: {fault}."
            ) from None
    else:
        found = np.asarray(b_values, dtype=np.float64)
    if len(found) != count:
        raise ParameterError(
            f"There are {len(found)} b-values for {count} volumes: one is needed for each."
        )
    return found
