"""PET: Poisson counts, scaled to the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddenoise.noise.draws import checked_parameter, poisson_counts, working
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["pet"]


@register_noise("pet", levels=("background",))
def pet(
    x: Tensor,
    *,
    counts: float | Tensor = 100.0,
    background: float | Tensor = 0.0,
    reference: float | Tensor = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """PET in the image domain: ``y = Poisson(alpha (x + background)) / alpha - background``.

    ``alpha = counts / reference``. Mean x, variance ``(x + background) / alpha``. As in a sinogram,
    ``background`` (randoms and scatter) is counted and its known mean subtracted.

    This is **not physical** for a reconstructed image, whose noise is correlated and follows the
    lines of response: it is the quick mode.

    Args:
        x: the noise-free image, any shape, floating point; not modified. Where it is below
            -background nothing is counted.
        counts: expected in a voxel of the reference intensity, above 0; a number or a tensor
            that broadcasts to ``x``. The noise there is 1 / sqrt(counts) of it.
        background: mean of randoms and scatter, in image units, at least 0.
        reference: intensity that has ``counts``, above 0; by name it is the image's 99.9th
            percentile.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device.

    Raises:
        ParameterError: a parameter out of its range; the message names it and its unit.
    """
    clean = working(x)
    expected = checked_parameter(
        "counts", counts, clean, unit="counts at the reference intensity", open_below=True
    )
    bright = checked_parameter(
        # Whoever names the model gives no reference, and is told what is taken for it.
        "reference (by name: the image's 99.9th percentile)",
        reference,
        clean,
        unit="image units",
        open_below=True,
    )
    besides = checked_parameter("background", background, clean, unit="image units")
    alpha = expected / bright
    # A voxel that is not finite has no count to draw, and stays not finite.
    mean = (alpha * (clean + besides)).nan_to_num(0.0).clamp(min=0.0)
    return (clean + (poisson_counts(mean, generator) - mean) / alpha).to(x.dtype)
