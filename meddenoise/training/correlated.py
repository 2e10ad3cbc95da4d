"""How far the noise of a run's scans is correlated, for trainers to which that matters."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch

from meddenoise.data.patches import Item
from meddenoise.errors import ParameterError
from meddenoise.noise.correlation import Correlation
from meddenoise.noise.estimation import estimate
from meddenoise.volume import Volume

__all__ = ["correlation_of", "warn_if_correlated"]

# So many scans (or slices, in 2-D) tell of the noise's correlation; more would only cost time.
_ENOUGH = 8
# Voxels to a side, in the middle of a scan, that are enough to see it.
_SIDE = 80
# Worth a warning: fine structure passes for as much, above all in small scans.
_STRONG = 0.25


def correlation_of(items: Sequence[Item], side: int | None = None) -> Correlation | None:
    """The mean over some scans of their noise's correlation.

    Args:
        items: what a run learns from, with as many axes as its patches.
        side: only so many voxels along each axis, in the middle.

    Returns:
        ``None`` if all of them are too small, or blank.
    """
    some = [items[int(k)] for k in np.linspace(0, len(items) - 1, min(len(items), _ENOUGH))]
    found = []
    for item in some:
        image = item.image if item.valid is None else item.image.where(item.valid, torch.nan)
        if side is not None:
            starts = [max(0, (n - side) // 2) for n in image.shape]
            image = image[tuple(slice(start, start + side) for start in starts)]
        try:
            told = estimate(Volume.from_array(image.numpy(), spacing=item.spacing))
        except ParameterError:
            continue  # a blank or tiny slice; others tell
        found.append(told.correlation)
    if not found:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an axis of which none tells anything
        mean = np.nanmean([one.coefficients for one in found], axis=0)
    return Correlation(
        tuple(tuple(float(c) for c in axis) for axis in mean),
        # As much as one scan may have by chance: a mean has less, but not by much if all are alike.
        tuple(np.mean([one.chances for one in found], axis=0)) if found[0].chances else (),
    )


def warn_if_correlated(items: Sequence[Item], axes: Sequence[int], trainer: str) -> None:
    """Say so where noise that a trainer takes for independent between voxels is not.

    Args:
        items: what it learns from; of volumes the first that is no blank tells.
        axes: along which it does.
        trainer: its name.
    """
    if not axes:
        return
    if items[0].image.ndim == 2:
        found = correlation_of(items, _SIDE)
    else:
        each = (correlation_of([item], _SIDE) for item in items[:_ENOUGH])
        found = next((one for one in each if one is not None), None)
    if found is None:
        return
    against = [
        axis for axis in found.axes if axis in axes and abs(_strongest(found, axis)) > _STRONG
    ]
    if not against:
        return
    named = " and ".join(f"{'xyz'[axis]} ({_strongest(found, axis):.2f})" for axis in against)
    way = "trainer.name=struct_noise2void, " if len(found.axes) < len(found.nearest) else ""
    warnings.warn(
        f"The noise is correlated along {named}, and {trainer} takes it for "
        f"independent: much of it will be left. Take {way}clean partners (data.targets, or a noise "
        "section for clean scans), or a filter: meddenoise denoise --method bm4d.",
        stacklevel=3,
    )


def _strongest(correlation: Correlation, axis: int) -> float:
    return max(np.nan_to_num(correlation.coefficients[axis]), key=abs)
