"""Poisson-Gaussian noise: a detector that counts, multiplies and adds noise of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddenoise.noise.draws import (
    check_number,
    checked_parameter,
    poisson_counts,
    standard_normal,
    working,
)
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["poisson_gaussian"]


@register_noise("poisson_gaussian", levels=("gain", "sigma"))
def poisson_gaussian(
    x: Tensor,
    gain: float | Tensor,
    *,
    sigma: float | Tensor = 0.0,
    offset: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Detectors and fluoroscopy: ``y = gain Poisson((x - offset) / gain) + N(offset, sigma^2)``.

    Mean x, variance ``gain (x - offset) + sigma^2``: a line (Foi et al., IEEE TIP 17:1737,
    2008, eq. 2). Below the offset there are no photons, and only the Gaussian part is added.

    Args:
        x: the noise-free image, any shape, floating point; not modified.
        gain: image units per photon, above 0; a number or a tensor that broadcasts to ``x``. As a
            percentage, 1 % means 100 photons at the reference intensity.
        sigma: standard deviation of the detector's own noise, in image units, at least 0.
        offset: what the detector gives without light, in image units.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device.

    Raises:
        ParameterError: a parameter out of its range; the message names it and its unit.
    """
    clean = working(x)
    unit = checked_parameter("gain", gain, clean, unit="image units per photon", open_below=True)
    level = checked_parameter("sigma", sigma, clean, unit="standard deviation in image units")
    zero = check_number("offset", offset, unit="image units", least=-float("inf"))
    # A voxel that is not finite has no count to draw, and stays not finite.
    photons = ((clean - zero) / unit).nan_to_num(0.0).clamp(min=0.0)
    shot = unit * (poisson_counts(photons, generator) - photons)
    return (clean + shot + level * standard_normal(clean, generator)).to(x.dtype)
