"""Stripes: whole lines that are too bright or too dark, as of a detector's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddenoise.errors import ParameterError
from meddenoise.noise.draws import (
    check_count,
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

__all__ = ["stripes"]


@register_noise("stripes", levels=("sigma",))
def stripes(
    x: Tensor,
    sigma: float | Tensor,
    *,
    axis: int = 0,
    density: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Structured noise: ``y = x + sigma n`` with one n ~ N(0, 1) for each line along an axis.

    Constant along ``axis`` and independent across it, and from slice to slice.

    Args:
        x: the noise-free image, ``(X, Y)``, ``(X, Y, Z)`` or with ``(B, C)`` before; floating
            point; not modified.
        sigma: standard deviation over the lines that are hit, in image units, at least 0; a
            number or a tensor that broadcasts to ``x``.
        axis: the spatial axis along which stripes run, from 0.
        density: fraction of lines that are hit, 0 to 1.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device.

    Raises:
        ParameterError: a parameter out of its range; the message names it and its unit.
    """
    clean = working(x)
    level = checked_parameter("sigma", sigma, clean, unit="standard deviation in image units")
    axes = spatial_axes(clean)
    if check_count("axis", axis, unit="a spatial axis, from 0") >= len(axes):
        raise ParameterError(f"axis is {axis}: the image's spatial axes are 0 to {len(axes) - 1}.")
    share = check_number("density", density, unit="fraction of the lines", most=1.0)
    line = clean.narrow(axes[axis], 0, 1)
    lines = standard_normal(line, generator)
    if share < 1:
        lines = lines * (uniform(line.shape, clean, generator) < share)
    return (clean + level * lines).to(x.dtype)
