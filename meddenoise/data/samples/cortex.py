"""A folded cortex: how deep each voxel lies beneath the pial surface of a hull.

Sulci are sheets, the zero level of band-pass noise. The noise is read at each voxel's
nearest point of the hull, so the sheets stand upright on the surface and go inward from it;
each ends at a depth that varies over the brain. Real gyri are made by growth; only their
look and their sizes (about 12 mm from sulcus to sulcus, a ribbon of about 3 mm) are right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from meddenoise.data.samples.fields import FloatArray, Grid, Lattice
from meddenoise.data.samples.shapes import Position, smooth_min

__all__ = ["Folding", "pial_depth"]


@dataclass(frozen=True)
class Folding:
    """Of one subject: in mm, save the noise."""

    half_width: float
    """Half the width of the CSF in a sulcus where it opens."""
    lattice: Lattice
    minor: Lattice
    """Of the shallow sulci that divide broad gyri."""


def pial_depth(
    folding: Folding,
    grid: Grid,
    position: Position,
    surface: FloatArray,
    sulcal_depth: FloatArray,
    bend: tuple[FloatArray, FloatArray, FloatArray],
) -> FloatArray:
    """Distance in mm from the nearest pial surface, negative in CSF.

    Args:
        folding: of this subject.
        grid: gives the voxel size.
        position: mm of every voxel.
        surface: depth beneath the unfolded hull, positive inside.
        sulcal_depth: where sulci end, mm beneath the hull.
        bend: mm by which the sheets are pushed aside, per axis.
    """
    normal = np.gradient(surface, *grid.spacing)
    inside = surface > -2 * max(grid.spacing)
    depth = np.clip(surface, 0, 28)[inside]
    # 0.85: sheets that are not quite perpendicular, and do not break up at the hull's ridges.
    nearest = [
        axis[inside] - np.float32(0.85) * depth * n[inside] + b[inside]
        for axis, n, b in zip(position, normal, bend, strict=True)
    ]
    # Sulci open like a funnel.
    width = np.float32(folding.half_width) * (
        np.float32(0.45) + np.exp(-np.maximum(surface, 0) / np.float32(7))
    )
    pial = surface
    end = sulcal_depth
    for lattice, reach in ((folding.lattice, 1.0), (folding.minor, 0.35)):
        noise = np.zeros(surface.shape, dtype=np.float32)
        noise[inside] = lattice.at(*nearest)
        k = np.float32(2 * np.pi / lattice.wavelength)
        slope = np.sqrt(sum(g * g for g in np.gradient(noise, *grid.spacing)))
        # Where the nearest point of the hull jumps, so does the noise: sulci end before that.
        jump = (slope > 3.2 * k).astype(np.float32)
        jump = ndimage.uniform_filter(ndimage.uniform_filter(jump, 3), 3)
        end = end * (1 - np.minimum(2 * jump, 1))
        # Distance to the nearest zero: exact for a sine, bounded where the noise is flat.
        sheet = np.arctan2(k * np.abs(noise), slope) / k
        below = np.maximum(surface - np.float32(reach) * end, 0)
        pial = smooth_min(pial, np.sqrt(sheet * sheet + below * below) - width, 2.0)
    return pial
