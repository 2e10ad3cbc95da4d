"""How sharp a labelled insert is imaged: the rim of a disc, rod or ball, or an edge in a box."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import check_spacing, slices_of
from meddenoise.evaluation.transfer import Transfer, disc_ttf, edge_mtf

__all__ = ["region_transfer"]

# Of both: twice what they share by what they hold. A square and its disc share 0.91.
_ROUND = 0.94
_FULL = 0.99
# Around a region, so that the whole rim's surroundings are kept.
_MARGIN = 12

Array = NDArray[np.float64]


def region_transfer(
    images: Mapping[str, NDArray[np.floating]],
    region: NDArray[np.bool_],
    *,
    spacing: Sequence[float] | None = None,
) -> tuple[dict[str, Transfer], str]:
    """Transfer functions of a labelled region in each image, by what its shape allows.

    A ball, or a disc in each of one or more slices (a rod, whose slices are averaged), gives the
    task transfer function of its rim; a full box that holds one straight edge gives the modulation
    transfer function of that edge. Centre and radius are those of the label map.

    Args:
        images: by name, ``(X, Y)`` or ``(X, Y, Z)``, one shape and unit, finite around the region.
        region: bool, the same shape.
        spacing: voxel size in mm per axis.

    Returns:
        One for each image, and what was measured, in words.

    Raises:
        ParameterError: a region of another shape, or as :func:`disc_ttf` and :func:`edge_mtf`.
    """
    sizes = check_spacing(spacing, region.ndim)
    box, room = _boxes(region)
    if region.ndim == 3:
        centre, radius = _centre(region[room], sizes)
        if _alike(region[room], _within(region[room].shape, centre, radius, sizes)) >= _ROUND:
            found = {
                name: disc_ttf(image[room], centre=centre, radius=radius, spacing=sizes)
                for name, image in images.items()
            }
            return found, f"3-D, rim of a ball of radius {radius:.3g} mm"
    across = None if region.ndim == 2 else 2 - int(np.argmax(sizes[::-1]))
    plane = tuple(s for axis, s in enumerate(sizes) if axis != across)
    slices = slices_of(region[room], sizes)
    used = slices.any(axis=(1, 2))
    shape = slices[used].mean(axis=0) > 0.5
    averaged = {
        name: slices_of(image[room], sizes)[used].mean(axis=0) for name, image in images.items()
    }
    count = int(used.sum())
    over = f", mean of {count} slices" if count > 1 else ""
    if shape.any() and min(_alike(one, shape) for one in slices[used]) >= _ROUND:
        if region[box].mean() >= _FULL:
            rows, columns = _boxes(shape)[0]
            edges = {
                name: edge_mtf(image[rows, columns], spacing=plane)
                for name, image in averaged.items()
            }
            return edges, f"2-D{over}, the straight edge within a box"
        centre, radius = _centre(shape, plane)
        if _alike(shape, _within(shape.shape, centre, radius, plane)) >= _ROUND:
            rims = {
                name: disc_ttf(image, centre=centre, radius=radius, spacing=plane)
                for name, image in averaged.items()
            }
            return rims, f"2-D{over}, rim of a disc of radius {radius:.3g} mm"
    raise ParameterError(
        "The region is neither a disc, rod or ball, whose rim would give a transfer function, nor "
        "a box with one straight edge in it."
    )


def _boxes(region: NDArray[np.bool_]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Around the region, without and with a margin."""
    if not region.any():
        raise ParameterError("The region is empty: there is no transfer function.")
    places = [(int(p.min()), int(p.max()) + 1) for p in np.nonzero(region)]
    return (
        tuple(slice(a, b) for a, b in places),
        tuple(slice(max(a - _MARGIN, 0), b + _MARGIN) for a, b in places),
    )


def _centre(region: NDArray[np.bool_], sizes: Sequence[float]) -> tuple[list[float], float]:
    """The middle in voxels, and in mm the radius of the disc or ball as large."""
    size = float(np.count_nonzero(region)) * math.prod(sizes)
    radius = math.sqrt(size / math.pi) if region.ndim == 2 else (0.75 * size / math.pi) ** (1 / 3)
    return [float(places.mean()) for places in np.nonzero(region)], radius


def _within(
    shape: tuple[int, ...], centre: Sequence[float], radius: float, sizes: Sequence[float]
) -> NDArray[np.bool_]:
    axes = [(np.arange(n) - c) * s for n, c, s in zip(shape, centre, sizes, strict=True)]
    square = sum(a**2 for a in np.meshgrid(*axes, indexing="ij"))
    return np.asarray(square <= radius**2)


def _alike(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Dice's coefficient."""
    return 2 * float(np.count_nonzero(one & other)) / float(one.sum() + other.sum())
