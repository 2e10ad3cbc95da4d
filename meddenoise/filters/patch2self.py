"""Patch2Self of 4-D scans."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.filters.extras import from_dipy
from meddenoise.filters.registry import register_filter

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
    below ten there is a warning.

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
        ParameterError: another number of b-values than of volumes, or a file that holds none.
        MissingDependency: DIPY is not installed.
    """
    weighted = np.ones(len(array), bool)
    if b_values is not None:
        weighted = _numbers(b_values, len(array)) > _UNWEIGHTED
    method = from_dipy("denoise.patch2self", method="patch2self").patch2self
    result = array.copy()
    for group in (weighted, ~weighted):
        count = np.count_nonzero(group)
        if count < 2:
            continue
        if count < _FEW:
            warnings.warn(
                f"patch2self has only {count} volumes to predict each from the others: look at "
                "the residual, as anatomy may be in it.",
                stacklevel=2,
            )
        result[group] = _predicted(array[group], method)
    return result


def _predicted(array: NDArray[np.floating], method: Callable[..., Any]) -> NDArray[np.floating]:
    """Each of the volumes ``(C, X, Y, Z)`` by DIPY from all the others."""
    # Without its mean: DIPY lets scikit-learn centre the regressors in place and then predicts
    # from those, which shifts every volume unless they are centred already.
    means = array.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64).astype(array.dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The input data has less than", UserWarning)
        # Version 1 is the exact one: version 3 solves for a random sketch of the voxels.
        found = method(
            np.moveaxis(array - means, 0, -1),
            np.full(len(array), 2 * _UNWEIGHTED),
            b0_threshold=_UNWEIGHTED,
            model="ols",
            shift_intensity=False,
            clip_negative_vals=False,
            version=1,
        )
    return np.moveaxis(found, -1, 0) + means


def _numbers(b_values: Sequence[float] | str, count: int) -> NDArray[np.float64]:
    if isinstance(b_values, str):
        try:
            words = Path(b_values).expanduser().read_text(encoding="utf-8").split()
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
