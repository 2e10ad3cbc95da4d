"""Recorrupted-to-recorrupted for counts: learn from one scan by splitting its counts in two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ParameterError
from meddenoise.noise import thinning
from meddenoise.training.trainer import Trainer, register_trainer

__all__ = ["PoissonR2RTrainer"]


@register_trainer("poisson_r2r")
class PoissonR2RTrainer(Trainer):
    """Monroy, Bacca and Tachella, "Generalized Recorrupted-to-Recorrupted", CVPR 2025.

    Of the counts k in a voxel a random share is set aside, ``m ~ Binomial(k, alpha)``: of Poisson
    counts, what is kept and what is set aside are independent. In image units, with g counts a
    unit,

        y1 = (k - m) / ((1 - alpha) g),    y2 = m / (alpha g)

    have the same mean, so that y2 is a target for f(y1); anew at every step.

    Right for scans that hold counts, up to a factor (scintigraphy, raw projections). Filtered and
    reconstructed images hold none and are refused; of those, radiographs are stabilised
    (``noise.stabilise``) and learned by ``r2r`` or ``sure``.

    Args:
        alpha: between 0 and 1, the share of the counts that is set aside.
        counts_per_unit: g.
    """

    def __init__(self, alpha: float = 0.15, counts_per_unit: float = 1.0) -> None:
        if not 0 < alpha < 1:
            raise ParameterError(f"alpha is above 0 and below 1, not {alpha}.")
        if not counts_per_unit > 0:
            raise ParameterError(f"counts_per_unit is above 0, not {counts_per_unit}.")
        self.alpha = alpha
        self.counts_per_unit = counts_per_unit
        self.options: dict[str, Any] = {"alpha": alpha, "counts_per_unit": counts_per_unit}

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The squared error between what f makes of the counts kept, and those set aside."""
        scan = batch.image * batch.scale + batch.shift
        if batch.valid is not None:
            scan = torch.where(batch.valid, scan, 0.0)  # what was filled in is no count
        kept = torch.cat(
            [
                thinning(
                    scan[row : row + 1],
                    1 - self.alpha,
                    counts_per_unit=self.counts_per_unit,
                    generator=generator,
                )
                for row, generator in enumerate(draws.generators("thinning"))
            ]
        )
        aside = (scan - (1 - self.alpha) * kept) / self.alpha
        given, target = ((x - batch.shift) / batch.scale for x in (kept, aside))
        if batch.valid is not None:
            given = torch.where(batch.valid, given, batch.image)
        error = (network(self.network_input(replace(batch, image=given))).float() - target).square()
        if batch.valid is None:
            return error.mean(), {}
        # A mean over all, not over the measured ones: so it is the mean over processes, too.
        return (error * batch.valid).mean(), {}
