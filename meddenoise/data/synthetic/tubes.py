"""Vessels, ducts and nerves."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from meddenoise.data.synthetic.fields import band, distance, uniform
from meddenoise.data.synthetic.layers import Layer, cover

__all__ = ["tubes"]


def tubes(shape: Sequence[int], generator: torch.Generator, kin: int) -> list[Layer]:
    """Winding tubes of 1 to 8 voxels across, some with a wall.

    Two surfaces cross in lines; a tube is what lies near both. In the plane, where surfaces are
    lines themselves, one is enough.
    """
    wavelength = uniform(20, 70, generator, log=True)
    surfaces = band(len(shape) - 1, shape, wavelength, generator, stretch=2.0)
    square = sum(distance(surface) ** 2 for surface in surfaces)
    assert isinstance(square, torch.Tensor)
    away = square.sqrt_()
    radius = uniform(0.5, 4.0, generator, log=True)
    # Vessels grow thinner along their way, and end.
    taper = band(1, shape, 50, generator)[0].mul_(uniform(0, 0.6, generator)).exp_()
    radius_here = radius * taper
    if uniform(0, 1, generator) < 0.3:
        wall = uniform(0.7, 1.5, generator)
        return [
            Layer(cover(radius_here + wall - away), 0, 0.05, kin),
            Layer(cover(radius_here - away), 0, 0.05, kin + 1),
        ]
    return [Layer(cover(radius_here - away), 0, 0.05, kin)]
