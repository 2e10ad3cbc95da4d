"""Cuts through a volume, turned as a radiologist looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddenoise.volume import Volume

__all__ = ["Plane", "middle_planes"]

# For the axis that is cut across: the plane's name, and the directions at its left and its top.
_VIEWS = (("sagittal", "A", "S"), ("coronal", "R", "S"), ("axial", "R", "A"))
_FEWEST = 8  # a cut through a few thick slices shows nothing


@dataclass(frozen=True)
class Plane:
    """One cut.

    Attributes:
        name: ``"axial"``, ``"coronal"``, ``"sagittal"``, or ``"image"`` for a 2-D one.
        image: ``(rows, columns)``.
        aspect: height of a pixel over its width, in mm.
        left: the patient's side at the left edge, ``"R"`` or ``"A"``; ``""`` if 2-D.
        top: the same at the top edge, ``"A"`` or ``"S"``.
    """

    name: str
    image: NDArray[np.floating]
    aspect: float
    left: str = ""
    top: str = ""


def middle_planes(volume: Volume) -> Iterator[Plane]:
    """The middle sagittal, coronal and axial cut of the first channel; one image if 2-D.

    By the radiological convention: the patient's right is on the left, anterior or superior at
    the top, and a sagittal cut faces left. Oblique grids go by their nearest axes. Cuts fewer
    than 8 voxels wide are left out, as long as another remains.
    """
    if volume.dims == 2:
        # Columns run along x, rows down along y, as rasters are stored.
        yield Plane("image", volume.array[0].T, volume.spacing[1] / volume.spacing[0])
        return
    array, spacing = _to_ras(volume)
    sides = [[a for a in range(3) if a != axis] for axis in range(3)]
    widths = [min(array.shape[across], array.shape[up]) for across, up in sides]
    for axis, (name, left, top) in enumerate(_VIEWS):
        if widths[axis] < min(_FEWEST, max(widths)):
            continue
        across, up = sides[axis]
        cut = array.take(array.shape[axis] // 2, axis=axis)
        # Both of the cut's axes run from right to left and bottom to top: turn both around.
        yield Plane(name, cut.T[::-1, ::-1], spacing[up] / spacing[across], left, top)


def _to_ras(volume: Volume) -> tuple[NDArray[np.floating], tuple[float, ...]]:
    """The first channel with its axes turned to the nearest of right, anterior, superior."""
    directions = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    left_over = np.abs(directions)
    order = [0, 0, 0]
    for _ in range(3):  # the clearest axis first, so that an oblique grid uses each one once
        world, axis = divmod(int(np.argmax(left_over)), 3)
        order[world] = axis
        left_over[world, :] = left_over[:, axis] = -1
    array = volume.array[0].transpose(order)
    for world, axis in enumerate(order):
        if directions[world, axis] < 0:
            array = np.flip(array, world)
    return array, tuple(volume.spacing[axis] for axis in order)
