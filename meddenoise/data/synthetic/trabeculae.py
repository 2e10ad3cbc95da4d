"""Sponges: trabecular bone, lung, glands."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from meddenoise.data.synthetic.fields import band, distance, uniform
from meddenoise.data.synthetic.layers import Layer, cover

__all__ = ["trabeculae"]


def trabeculae(shape: Sequence[int], generator: torch.Generator, kin: int) -> list[Layer]:
    """Plates or rods of about a voxel across, 4 to 12 voxels apart, within a region."""
    fine = band(1, shape, uniform(4, 12, generator, log=True), generator, stretch=1.5)[0]
    depth = distance(fine, uniform(-0.3, 0.3, generator))
    if uniform(0, 1, generator) < 0.5:
        depth = uniform(0.4, 1.2, generator) - depth.abs()
    region = band(1, shape, uniform(30, 80, generator), generator)[0]
    inside = cover(distance(region, uniform(-0.2, 1.2, generator)), uniform(1, 4, generator))
    return [Layer(inside, 0, 0.2, kin), Layer(cover(depth) * inside, 0, 0.2, kin + 1)]
