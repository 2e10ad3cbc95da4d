"""Heaps of solids that hide each other ("dead leaves"), warped, each of its own intensity."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from meddenoise.data.synthetic.fields import band, uniform
from meddenoise.data.synthetic.layers import cover, edge_width

__all__ = ["leaves"]


def leaves(shape: Sequence[int], generator: torch.Generator, count: int = 40) -> Tensor:
    """A picture of ellipsoids, boxes and cylinders, with radii from 2 voxels to a third of it.

    Small ones lie on top, as their number grows with the third power of what they are smaller by
    (A. Lee, D. Mumford and J. Huang, "Occlusion models for natural images", IJCV 41, 2001).

    Returns:
        ``shape`` float32, mean 0 and standard deviation 1.
    """
    dims, device = len(shape), generator.device
    places = torch.meshgrid(
        *(torch.arange(size, device=device, dtype=torch.float32) for size in shape), indexing="ij"
    )
    bends = band(dims, shape, uniform(24, 60, generator), generator)
    strength = uniform(0, 4, generator)
    places = tuple(place + strength * bend for place, bend in zip(places, bends, strict=True))
    image = torch.zeros(tuple(shape), device=device)
    largest = min(shape) / 3
    u = torch.rand(count, generator=generator, device=device).sort().values.tolist()
    for place in u:
        # Radii with density r^-3 between 2 and the largest, the largest first.
        radius = (largest**-2 + place * (2.0**-2 - largest**-2)) ** -0.5
        _paint(image, places, radius, generator)
    return (image - image.mean()) / image.std().clamp(min=1e-6)


def _paint(
    image: Tensor, places: Sequence[Tensor], radius: float, generator: torch.Generator
) -> None:
    """One solid, in the part of the image that it reaches."""
    dims, shape, device = image.ndim, image.shape, generator.device
    drawn = torch.randn(dims, dims + 1, generator=generator, device=device)
    axes = torch.linalg.qr(drawn[:, :dims]).Q
    stretch = torch.exp(0.4 * drawn[:, dims])
    middle = torch.rand(dims, generator=generator, device=device)
    centre = [float(m) * n for m, n in zip(middle, shape, strict=True)]
    reach = radius * float(stretch.max()) * dims**0.5 + 12  # the warp's, too
    box = tuple(
        slice(max(0, int(c - reach)), min(n, int(c + reach) + 1))
        for c, n in zip(centre, shape, strict=True)
    )
    offset = torch.stack([place[box] - c for place, c in zip(places, centre, strict=True)], dim=-1)
    along = (offset @ axes).abs() / stretch
    kind = uniform(0, 1, generator)
    if kind < 0.5:
        away = along.norm(dim=-1)
    elif kind < 0.75:
        away = along.amax(dim=-1)
    else:
        away = torch.maximum(along[..., :-1].norm(dim=-1), along[..., -1] / 1.5)
    share = cover(radius - away, edge_width(generator))
    value = uniform(-1, 1, generator)
    image[box] += share * (value - image[box])
