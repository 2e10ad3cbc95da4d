"""Folded sheets over a core, as cortex lies over white matter."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from meddenoise.data.synthetic.fields import band, distance, uniform
from meddenoise.data.synthetic.layers import Layer, cover

__all__ = ["ribbons"]


def ribbons(shape: Sequence[int], generator: torch.Generator, kin: int) -> list[Layer]:
    """A ribbon 1.5 to 5 voxels thick along a folded surface, and the core within.

    The surface is a level set of waves about as long as a gyrus and its sulcus. Where it lies low
    the core fills most of the space and what is left is thin clefts, where it lies high the core
    is thin blades.
    """
    wavelength = uniform(9, 30, generator, log=True)
    fold = band(1, shape, wavelength, generator, octaves=uniform(0.3, 0.7, generator), stretch=1.5)
    bend = band(1, shape, 3 * wavelength, generator)
    depth = distance((fold + uniform(0, 0.8, generator) * bend)[0], uniform(-0.9, 0.5, generator))
    half = uniform(1.5, 5.0, generator) / 2
    found = [Layer(cover(depth + half), 0, 0.3, kin)]
    if uniform(0, 1, generator) < 0.3:  # a line within the ribbon
        found.append(Layer(cover(0.6 - (depth - uniform(-half, half, generator)).abs()), 0, 0, kin))
    found.append(Layer(cover(depth - half), 1, 0.3, kin))
    if uniform(0, 1, generator) < 0.4:  # deeper nests
        found.append(Layer(cover(depth - half - uniform(2, 8, generator), 2.0), 2, 0.3, kin))
    return found
