"""Only a share of what a denoiser takes away: ``meddenoise denoise --strength``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meddenoise.workflows.changed import changed
from meddenoise.workflows.way import Way

__all__ = ["blended"]


def blended(way: Way, strength: float) -> Way:
    """The way, with only a share of what it takes away gone.

    What was not measured is as in the result.

    Args:
        way: any.
        strength: 0 for nothing, 1 for all.
    """

    def blend(
        noisy: NDArray[np.floating], measured: NDArray[np.bool_], clean: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        # Where it is no number, so is the difference, and it is not taken.
        with np.errstate(invalid="ignore"):
            share = noisy + strength * (clean - noisy)
        return np.where(measured, share, clean).astype(clean.dtype, copy=False)

    return changed(way, blend, f"blended, strength {strength:g}")
