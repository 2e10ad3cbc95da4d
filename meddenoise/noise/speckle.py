"""Speckle: noise that grows with the signal, of ultrasound and optical coherence tomography."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddenoise.noise.draws import checked_parameter, standard_normal, working
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["speckle"]


@register_noise("speckle", levels=("sigma",))
def speckle(
    x: Tensor,
    sigma: float | Tensor,
    *,
    exponent: float | Tensor = 0.5,
    reference: float | Tensor = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Ultrasound and OCT: ``y = x + sigma (x / reference)^exponent n`` with n ~ N(0, 1).

    With ``reference`` 1 this is the usual ``y = x + x^g n``, n ~ N(0, sigma^2)
    (Loupas et al., IEEE Trans Circuits Syst 36:129, 1989, with g = 0.5). Mean x, variance
    ``sigma^2 (x / reference)^(2 exponent)``, independent between voxels.

    Args:
        x: the noise-free image, any shape, floating point; not modified. Where it is not
            positive there is no noise.
        sigma: standard deviation where x is the reference, in image units, at least 0; a
            number or a tensor that broadcasts to ``x``.
        exponent: g, 0 to 2: 0.5 after log compression, 1 for multiplicative noise.
        reference: that intensity, above 0; by name it is the image's 99.9th percentile.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device.

    Raises:
        ParameterError: a parameter out of its range; the message names it and its unit.
    """
    clean = working(x)
    level = checked_parameter("sigma", sigma, clean, unit="standard deviation in image units")
    power = checked_parameter("exponent", exponent, clean, unit="power of the intensity", most=2.0)
    bright = checked_parameter("reference", reference, clean, unit="image units", open_below=True)
    share = (clean / bright).clamp(min=0.0)
    # Not 0^0 = 1: without a signal there is no speckle.
    growth = share**power * (share > 0)
    return (clean + level * growth * standard_normal(clean, generator)).to(x.dtype)
