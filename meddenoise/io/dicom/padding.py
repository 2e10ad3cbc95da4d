"""Pixels that are no measurement: which they are, and what is stored there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meddenoise.io.dicom.frames import Frame

__all__ = ["padding_of"]


def padding_of(picture: NDArray, frame: Frame) -> tuple[NDArray, NDArray] | None:
    """Flat indices ``(n,)`` of a frame's padding and the stored values there; ``None`` without any.

    Args:
        picture: ``(rows, columns)``, as stored.
        frame: whose picture it is.
    """
    if frame.padding is None:
        return None
    low, high = frame.padding
    info = np.iinfo(picture.dtype)
    if high < info.min or low > info.max:
        return None
    flat = picture.reshape(-1)
    indices = np.flatnonzero((flat >= max(low, info.min)) & (flat <= min(high, info.max)))
    if not len(indices):
        return None
    return indices.astype(np.int32), flat[indices].copy()
