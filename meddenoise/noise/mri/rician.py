"""Rician noise: the magnitude of a complex MR image from one receive coil."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddenoise.noise.draws import checked_parameter, standard_normal, working
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["rician"]


@register_noise("rician", levels=("sigma",), deviation="sigma")
def rician(x: Tensor, sigma: float | Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """MRI, one coil: ``M = sqrt((A + sigma n1)^2 + (sigma n2)^2)`` with n1, n2 ~ N(0, 1).

    ``E[M^2] = A^2 + 2 sigma^2``. Where A = 0 it is a Rayleigh distribution with mean
    ``sigma sqrt(pi/2)``; where A >> sigma it is nearly N(A, sigma^2).
    (Gudbjartsson and Patz, Magn Reson Med 34:910, 1995, eq. 1.)

    Args:
        x: the noise-free magnitude A, any shape, floating point; not modified. A negative
            value is taken as a signal of opposite phase, and comes out positive.
        sigma: standard deviation of the noise in each of the real and imaginary channels,
            in image units, at least 0; a number or a tensor that broadcasts to ``x``.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device, nowhere negative.

    Raises:
        ParameterError: a negative or non-finite sigma, or one that does not broadcast.
    """
    clean = working(x)
    level = checked_parameter(
        "sigma", sigma, clean, unit="standard deviation per real/imaginary channel, image units"
    )
    real = clean + level * standard_normal(clean, generator)
    imaginary = level * standard_normal(clean, generator)
    return real.hypot(imaginary).to(x.dtype)
