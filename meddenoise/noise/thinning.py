"""Binomial thinning: fewer counts out of measured counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddenoise.errors import ParameterError
from meddenoise.noise.draws import check_number, checked_parameter, standard_normal, working
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["thinning"]

# Single precision holds no more counts exactly, and torch's draws then scatter too much; double
# precision draws well up to the other number, and beyond it counts are normal.
_MOST_SINGLE = 2.0**24
_MOST_COUNTED = 2.0**48


@register_noise("thinning", fractions=("dose",))
def thinning(
    x: Tensor,
    dose: float | Tensor,
    *,
    counts_per_unit: float = 1.0,
    rescale: bool = True,
    generator: torch.Generator | None = None,
) -> Tensor:
    """PET and SPECT: keep each count with probability ``dose``, y ~ Binomial(counts, dose).

    If the counts are Poisson with mean m, those that are kept are Poisson with mean ``dose m``
    exactly: what a shorter scan or a smaller activity would have measured. Unlike adding
    noise, it takes the noise of the scan itself into account.

    Args:
        x: counts divided by ``counts_per_unit``, any shape, floating point; not modified. Voxels
            that are not finite stay as they are.
        dose: fraction of the counts to keep, above 0 and at most 1; a number or a tensor that
            broadcasts to ``x``.
        counts_per_unit: alpha, counts in one image unit, above 0; ``x`` times it must be whole
            numbers.
        rescale: divide by ``dose``, so that the mean stays that of ``x``.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device.

    Raises:
        ParameterError: a parameter out of its range, or an image that holds no counts.
    """
    import torch

    clean = working(x)
    kept = checked_parameter(
        "dose", dose, clean, unit="fraction of the counts", most=1.0, open_below=True
    )
    alpha = check_number("counts_per_unit", counts_per_unit, unit="counts", open_below=True)
    scaled = (clean * alpha).nan_to_num(0.0, posinf=0.0, neginf=0.0)
    counts = scaled.round()
    if bool((counts < 0).any()) or bool(((counts - scaled).abs() > 1e-3 * (1 + counts)).any()):
        raise ParameterError(
            "Thinning needs counts, whole numbers of at least 0, and this image has others: give "
            "counts_per_unit (counts per image unit), or take the noise model 'pet'."
        )
    chance = torch.as_tensor(kept, dtype=clean.dtype).expand_as(clean)
    thinned = _binomial(counts, chance, generator) / alpha
    return torch.where(clean.isfinite(), thinned / kept if rescale else thinned, clean).to(x.dtype)


def _binomial(counts: Tensor, chance: Tensor, generator: torch.Generator | None) -> Tensor:
    """How many of the counts are kept, each by chance; drawn on the generator's device."""
    import torch

    device = counts.device if generator is None else generator.device
    most = float(counts.max()) if counts.numel() else 0.0
    whole, share = counts.to(device), chance.to(device)
    if most > _MOST_SINGLE:
        whole, share = whole.double(), share.double()
    drawn = torch.binomial(whole.clamp(max=_MOST_COUNTED), share, generator=generator)
    if most > _MOST_COUNTED:
        spread = (whole * share * (1 - share)).sqrt()
        normal = whole * share + spread * standard_normal(whole, generator)
        normal = torch.minimum(normal.round().clamp(min=0), whole)
        drawn = torch.where(whole > _MOST_COUNTED, normal, drawn)
    return drawn.to(counts.dtype).to(counts.device)
