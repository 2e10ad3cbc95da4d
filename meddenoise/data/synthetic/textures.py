"""What fills a tissue: grain and streaks at several scales."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from meddenoise.data.synthetic.fields import band, power_law, uniform

__all__ = ["texture"]


def texture(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """One of: structure at all scales, a grain of one size, streaks, or a smooth gradient.

    Returns:
        ``shape`` float32, mean 0 and standard deviation 1.
    """
    kind = uniform(0, 1, generator)
    if kind < 0.5:
        return power_law(1, shape, uniform(1.0, 3.0, generator), generator)[0]
    if kind < 0.75:
        return band(1, shape, uniform(3, 16, generator, log=True), generator)[0]
    if kind < 0.9:
        return band(1, shape, uniform(5, 12, generator), generator, stretch=4.0)[0]
    return band(1, shape, uniform(60, 150, generator), generator)[0]
