"""No filter at all: the baseline, and a check that files survive the way in and out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.filters.registry import register_filter

__all__ = ["identity"]


@register_filter("identity")
def identity(
    array: NDArray[np.floating], *, spacing: Sequence[float], sigma_noise: float | None = None
) -> NDArray[np.floating]:
    """A copy of the image, bit for bit.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``.
        spacing: voxel size in mm; not used.
        sigma_noise: not used.
    """
    return array.copy()
