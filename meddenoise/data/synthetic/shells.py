"""Thin skins: fascia, membranes, compact bone, the wall of a ventricle."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from meddenoise.data.synthetic.fields import band, distance, uniform
from meddenoise.data.synthetic.layers import Layer, cover, edge_width

__all__ = ["shells"]


def shells(shape: Sequence[int], generator: torch.Generator, kin: int) -> list[Layer]:
    """A large smooth surface with one to three skins of 0.7 to 4 voxels one under the other."""
    field = band(1, shape, uniform(30, 100, generator, log=True), generator, stretch=1.5)[0]
    depth = distance(field, uniform(-1, 1, generator))
    found, at = [], 0.0
    for number in range(1 + int(uniform(0, 3, generator))):
        thick = uniform(0.7, 4.0, generator, log=True)
        middle = at + thick / 2
        found.append(Layer(cover(thick / 2 - (depth - middle).abs()), 0, 0.1, kin + number))
        at += thick + uniform(0, 6, generator)
    if uniform(0, 1, generator) < 0.5:  # what they hold
        found.insert(0, Layer(cover(depth, edge_width(generator)), 1, 0.3, kin))
    return found
