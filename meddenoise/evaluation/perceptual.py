"""LPIPS, the learned perceptual distance: an optional extra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import MissingDependency, ParameterError
from meddenoise.evaluation.fields import filled_pair, slices_of
from meddenoise.evaluation.metrics import check_data_range

__all__ = ["lpips"]

_SMALLEST = 32
_AT_ONCE = 8


def lpips(
    reference: ArrayLike,
    image: ArrayLike,
    *,
    data_range: float,
    low: float,
    mask: NDArray[np.bool_] | None = None,
    spacing: Sequence[float] | None = None,
) -> float:
    """Learned perceptual distance (Zhang et al., CVPR 2018), AlexNet, version 0.1; 0 is best.

    It was learned on photographs and never saw a scan: a hint at how pictures look, no measure of
    diagnosis. Intensities from ``low`` to ``low + data_range`` become -1 to 1 and are clipped; a
    volume is taken in slices across its coarsest axis, and the mean given. AlexNet's weights are
    fetched by the package at the first call, if they are not on this machine.

    Args:
        reference: the truth, ``(X, Y)`` or ``(X, Y, Z)``, slices of at least 32 x 32.
        image: what is judged, the same shape and unit.
        data_range: the peak, in the image's units.
        low: where that range begins.
        mask: bool, the same shape; its bounding box is compared.
        spacing: voxel size in mm per axis.

    Raises:
        MissingDependency: the package is not installed, or its weights cannot be had.
        ParameterError: as :func:`meddenoise.evaluation.ssim`, or slices that are too small.
    """
    peak = check_data_range(data_range)
    truth, judged, counted = filled_pair(reference, image, mask, name="LPIPS")
    box = tuple(slice(int(places.min()), int(places.max()) + 1) for places in np.nonzero(counted))
    pairs = [slices_of(_scaled(values[box], low, peak), spacing) for values in (truth, judged)]
    if min(pairs[0].shape[1:]) < _SMALLEST:
        raise ParameterError(f"LPIPS needs slices of at least {_SMALLEST} x {_SMALLEST} voxels.")
    network = _network()
    import torch

    total = 0.0
    with torch.inference_mode():
        for first in range(0, len(pairs[0]), _AT_ONCE):
            one, other = (
                torch.from_numpy(np.ascontiguousarray(values[first : first + _AT_ONCE]))
                .float()[:, None]
                .expand(-1, 3, -1, -1)
                for values in pairs
            )
            total += float(network(one, other).sum())
    return total / len(pairs[0])


def _scaled(values: NDArray[np.float64], low: float, peak: float) -> NDArray[np.float64]:
    return np.asarray(np.clip(2 * (values - low) / peak - 1, -1, 1))


def _network() -> Any:
    try:
        import lpips as package
    except ImportError:
        raise MissingDependency(
            'LPIPS needs an optional package: pip install "meddenoise[lpips]".'
        ) from None
    try:
        return package.LPIPS(net="alex", version="0.1", verbose=False).eval()
    except OSError as fault:
        raise MissingDependency(
            f"The weights that LPIPS needs cannot be had ({type(fault).__name__}): call it once "
            "with a network, so that they are kept on this machine."
        ) from None
