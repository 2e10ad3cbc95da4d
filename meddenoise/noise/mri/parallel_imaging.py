"""Noise of parallel imaging (SENSE, GRAPPA): stronger where coils are hard to tell apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from meddenoise.noise.draws import (
    check_number,
    checked_map,
    checked_parameter,
    spatial_axes,
    working,
)
from meddenoise.noise.mri.rician import rician
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["g_factor", "parallel_imaging"]


@register_noise("parallel_imaging", levels=("sigma",), maps=("g_map",))
def parallel_imaging(
    x: Tensor,
    sigma: float | Tensor,
    *,
    acceleration: float | Tensor = 2.0,
    g_max: float = 1.5,
    g_map: Any = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """MRI accelerated R-fold: Rician noise of ``sigma(x) = sigma g(x) sqrt(R)``.

    R-fold fewer lines raise the noise by sqrt(R), and unfolding them by the g-factor
    (Pruessmann et al., Magn Reson Med 42:952, 1999, eq. 23). The unfolded image is one complex
    image, so its magnitude is Rician.

    Args:
        x: the noise-free magnitude, ``(X, Y)``, ``(X, Y, Z)`` or with ``(B, C)`` before; floating
            point; not modified.
        sigma: standard deviation of the noise in the real and the imaginary channel **without**
            acceleration, in image units, at least 0.
        acceleration: R, at least 1; a number or a tensor that broadcasts to ``x``.
        g_max: largest g-factor of the model map :func:`g_factor`, at least 1.
        g_map: g, a map that broadcasts to the image, above 0; instead of the model map.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device, nowhere negative.

    Raises:
        ParameterError: a parameter out of its range; the message names it and its unit.
    """
    clean = working(x)
    level = checked_parameter(
        "sigma", sigma, clean, unit="standard deviation per real/imaginary channel, image units"
    )
    factor = checked_parameter(
        "acceleration", acceleration, clean, unit="times fewer lines", least=1.0
    )
    if g_map is None:
        g = g_factor([clean.shape[axis] for axis in spatial_axes(clean)], g_max)
    else:
        g = checked_map("g_map", g_map, clean, unit="g-factor, 1 is no loss", open_below=True)
    strength = level * g.to(clean) * factor**0.5
    return rician(clean, strength.expand_as(clean), generator=generator).to(x.dtype)


def g_factor(shape: Sequence[int], g_max: float = 1.5) -> Tensor:
    """A smooth g-factor map: 1 at the border of the first two axes, ``g_max`` in the middle.

    In the middle of the body all coils see alike, so that their folded images are hardest to
    tell apart: ``1 + (g_max - 1) sin^2(pi u) sin^2(pi v)`` for places u and v from 0 to 1.
    Measured maps have seams besides; give one as ``g_map`` where that matters.

    Args:
        shape: of the image, 2 or 3 axes.
        g_max: the largest value, at least 1.

    Returns:
        ``(X, Y)`` or ``(X, Y, 1)`` float32 on the CPU.

    Raises:
        ParameterError: ``g_max`` below 1.
    """
    import torch

    peak = check_number("g_max", g_max, unit="g-factor, 1 is no loss", least=1.0)
    u, v = (torch.sin(math.pi * (torch.arange(n) + 0.5) / n).square() for n in shape[:2])
    g = 1 + (peak - 1) * u[:, None] * v
    return g.reshape(*g.shape, *[1] * (len(shape) - 2))
