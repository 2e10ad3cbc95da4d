"""The scale of intensities for PSNR and SSIM: the truth's, never the judged image's."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from meddenoise.errors import ParameterError
from meddenoise.evaluation.metrics import check_data_range
from meddenoise.volume import Volume

__all__ = ["PERCENTILES", "chosen_data_range", "default_data_range"]

PERCENTILES = (0.1, 99.9)
"""Of the valid voxels, that the range lies between."""


def default_data_range(reference: Volume | ArrayLike, *, name: str = "reference") -> float:
    """99.9th minus 0.1th percentile of the reference's valid voxels, in its units.

    Percentiles, because one metal clip or one stray voxel must not change the scale of all
    results. For magnitude MR with an empty background this is the 99.9th percentile; for CT
    it runs from air to dense bone.

    Args:
        reference: a volume or an array.
        name: what it is, for messages.

    Raises:
        ParameterError: no valid voxel, or a constant reference, which has no range.
    """
    volume = reference if isinstance(reference, Volume) else Volume.from_array(reference)
    values = volume.array[volume.valid]
    if values.size == 0:
        raise ParameterError(f"The {name} has no finite voxel.")
    low, high = np.percentile(values, PERCENTILES)
    if high <= low:
        raise ParameterError(
            f"The {name} is nearly everywhere {low:g}, so it has no range: give data_range."
        )
    return float(high) - float(low)


def chosen_data_range(
    truth: Volume,
    data_range: float | None,
    window: tuple[float, float] | None,
    *,
    name: str = "reference",
) -> tuple[float, str]:
    """The data range, and where it came from.

    Args:
        truth: what the default is taken from.
        data_range: as given.
        window: (centre, width), whose width is the range.
        name: what ``truth`` is, in words.

    Raises:
        ParameterError: both are given, one that is impossible, or as :func:`default_data_range`.
    """
    if window is not None and data_range is not None:
        raise ParameterError("Give either window or data_range: a window's width is the range.")
    if window is not None:
        if len(window) != 2 or not all(math.isfinite(v) for v in window) or window[1] <= 0:
            raise ParameterError(
                f"window is {tuple(window)}: it is (centre, width), width above 0, in the "
                "image's units."
            )
        return float(window[1]), "width of the window"
    if data_range is not None:
        return check_data_range(data_range), "given"
    return default_data_range(truth, name=name), f"99.9th minus 0.1th percentile of the {name}"
