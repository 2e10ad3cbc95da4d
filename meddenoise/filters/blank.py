"""Volumes of a 4-D scan that hold nothing."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

__all__ = ["tell_of_blank"]

_MOST_NUMBERS = 8


def tell_of_blank(array: NDArray[np.floating]) -> None:
    """Warn of volumes of ``(C, ...)`` that are one value everywhere: they may have been lost."""
    blank = [number for number, volume in enumerate(array, 1) if np.ptp(volume) == 0]
    if not blank:
        return
    rest = len(blank) - _MOST_NUMBERS
    numbers = ", ".join(map(str, blank[:_MOST_NUMBERS])) + (f" and {rest} more" if rest > 0 else "")
    is_, them = ("is", "it") if len(blank) == 1 else ("are", "them")
    warnings.warn(
        f"{len(blank)} of {len(array)} volumes {is_} blank ({numbers}): kept, and no other is "
        f"compared with {them}.",
        stacklevel=3,
    )
