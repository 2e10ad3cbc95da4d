"""Salt and pepper: single voxels that are wholly wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddenoise.noise.draws import check_number, checked_parameter, uniform, working
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["salt_and_pepper"]


@register_noise("salt_and_pepper", fractions=("density",))
def salt_and_pepper(
    x: Tensor,
    density: float | Tensor,
    *,
    salt_share: float | Tensor = 0.5,
    pepper: float = 0.0,
    reference: float | Tensor = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Dead and hot voxels: a fraction ``density`` becomes the reference (salt) or ``pepper``.

    Args:
        x: the noise-free image, any shape, floating point; not modified.
        density: fraction of voxels that are hit, above 0 and at most 1; a number or a tensor that
            broadcasts to ``x``.
        salt_share: fraction of these that become salt, 0 to 1.
        pepper: value of the others, in image units (-1000 for HU).
        reference: value of salt, in image units; by name it is the image's 99.9th percentile.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device.

    Raises:
        ParameterError: a parameter out of its range; the message names it and its unit.
    """
    import torch

    clean = working(x)
    hit = checked_parameter(
        "density", density, clean, unit="fraction of the voxels", most=1.0, open_below=True
    )
    share = checked_parameter("salt_share", salt_share, clean, unit="fraction of hits", most=1.0)
    anything = -float("inf")
    low = check_number("pepper", pepper, unit="image units", least=anything)
    high = checked_parameter("reference", reference, clean, unit="image units", least=anything)
    u = uniform(clean.shape, clean, generator)
    spoilt = torch.where(u < hit * share, torch.as_tensor(high).to(clean), low)
    return torch.where(u < hit, spoilt, clean).to(x.dtype)
