"""How much a network copies of its input: what Stein's unbiased risk estimate charges for."""

from __future__ import annotations

from torch import Tensor

__all__ = ["PROBE", "divergence"]

PROBE = 0.1
"""How far inputs are moved, of sigma: small beside the noise, and large beside the rounding of half
precision."""


def divergence(probe: Tensor, output: Tensor, moved: Tensor, step: Tensor) -> Tensor:
    """The divergence of a network by one random direction, voxel by voxel.

    ``b (f(y + step b) - f(y)) / step``, whose mean over draws of b is df_i/dy_i (Ramani, Blu and
    Unser, IEEE TIP 17:1540, 2008, equation 10).

    Args:
        probe: b, random signs; any shape.
        output: f(y).
        moved: f(y + step b).
        step: broadcasts to ``probe``.
    """
    return probe * (moved - output) / step
