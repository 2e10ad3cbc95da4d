"""Noncentral chi noise: the root of the sum of squares over several receive coils."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meddenoise.noise.draws import check_count, checked_parameter, standard_normal, working
from meddenoise.noise.moments import check_coils
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["noncentral_chi"]


@register_noise("noncentral_chi", levels=("sigma",), deviation="sigma")
def noncentral_chi(
    x: Tensor,
    sigma: float | Tensor,
    *,
    coils: int = 8,
    generator: torch.Generator | None = None,
) -> Tensor:
    """MRI, the root of the sum of squares over n coils with independent noise.

    ``M = sqrt(sum_k |A_k + sigma (n_kr + i n_ki)|^2)`` with ``sum_k |A_k|^2 = A^2``. The
    distribution depends on the A_k only through A, so one coil is given all of it.
    ``E[M^2] = A^2 + 2 n sigma^2``, and

        E[M] = sigma sqrt(pi/2) L(1/2, n-1; -A^2 / (2 sigma^2))

    with the generalised Laguerre function L. With one coil it is Rician noise.
    (Constantinides et al., Magn Reson Med 38:852, 1997.)

    Args:
        x: the noise-free magnitude A, any shape, floating point; not modified.
        sigma: standard deviation of the noise in the real and the imaginary channel of each
            coil, in image units, at least 0; a number or a tensor that broadcasts to ``x``.
        coils: n, at least 1.
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
    count = check_coils(check_count("coils", coils, unit="receive coils", least=1))
    total = clean + level * standard_normal(clean, generator)
    for _ in range(2 * count - 1):
        # Squares of what is very large or very small are no numbers in single precision.
        total = total.hypot(level * standard_normal(clean, generator))
    return total.to(x.dtype)
