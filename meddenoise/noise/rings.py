"""Rings: what an uneven CT detector leaves around the centre of rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddenoise.noise.draws import (
    check_number,
    checked_parameter,
    spatial_axes,
    standard_normal,
    uniform,
    working,
)
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["rings"]


@register_noise("rings", levels=("sigma",))
def rings(
    x: Tensor,
    sigma: float | Tensor,
    *,
    width: float = 1.0,
    density: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Structured noise: ``y = x + sigma n(r)`` with one n ~ N(0, 1) for each ring of radius r.

    Around the middle of the plane of the first two axes, independent from slice to slice: a
    third-generation CT detector with elements of unequal gain, in the image domain.

    Args:
        x: the noise-free image, ``(X, Y)``, ``(X, Y, Z)`` or with ``(B, C)`` before; floating
            point; not modified.
        sigma: standard deviation over the rings that are hit, in image units, at least 0; a
            number or a tensor that broadcasts to ``x``.
        width: of a ring, in voxels, above 0.
        density: fraction of rings that are present, 0 to 1.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device.

    Raises:
        ParameterError: a parameter out of its range; the message names it and its unit.
    """
    import torch

    clean = working(x)
    level = checked_parameter("sigma", sigma, clean, unit="standard deviation in image units")
    wide = check_number("width", width, unit="voxels", open_below=True)
    share = check_number("density", density, unit="fraction of the rings", most=1.0)
    plane = spatial_axes(clean)[:2]
    u, v = (
        torch.arange(clean.shape[axis], device=clean.device) - (clean.shape[axis] - 1) / 2
        for axis in plane
    )
    radius = (torch.hypot(u[:, None], v) / wide).floor()
    if float(radius.max()) < radius.numel():
        ring = radius.long()
    else:  # they are so thin that most pass between the voxels: only the others are drawn
        ring = radius.unique(return_inverse=True)[1]
    # (rings, *rest): one number for each ring of each slice, channel and sample.
    rest = [n for axis, n in enumerate(clean.shape) if axis not in plane]
    table = clean.new_empty((int(ring.max()) + 1, *rest))
    heights = standard_normal(table, generator)
    if share < 1:
        heights = heights * (uniform(table.shape, clean, generator) < share)
    return (clean + level * heights[ring].movedim((0, 1), plane)).to(x.dtype)
