"""Pixels that are no measurement: which they are, and what is stored there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meddenoise.io.dicom.frames import Frame

__all__ = ["kept_measured", "padding_of"]


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


def kept_measured(picture: NDArray, frame: Frame, padding: NDArray | None) -> int:
    """Move what has come to be stored as padding, and is none, to the nearest value beside it.

    Elsewhere it would be taken for what was not measured.

    Args:
        picture: ``(rows, columns)``, as it will be stored; it is changed.
        frame: whose picture it is.
        padding: flat indices of its padding, if it has any.

    Returns:
        How many were moved by more than one step.
    """
    found = padding_of(picture, frame)
    if found is None or frame.padding is None:
        return 0
    indices, values = found
    if padding is not None:
        measured = ~np.isin(indices, padding)
        indices, values = indices[measured], values[measured]
    (low, high), (least, most) = frame.padding, frame.storage.limits
    below, above = low - 1, high + 1
    if below < least and above > most:
        return 0
    stored = values.astype(np.int64)
    nearer_below = stored - below < above - stored
    moved = np.where((above > most) | (nearer_below & (below >= least)), below, above)
    picture.reshape(-1)[indices] = moved
    return int(np.count_nonzero(np.abs(moved - stored) > 1))
