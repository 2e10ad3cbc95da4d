"""Supervised training: from a noisy image to its clean partner."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.noise import NoiseModel
from meddenoise.training.trainer import Trainer, register_trainer

__all__ = ["SupervisedTrainer"]


@register_trainer("supervised")
class SupervisedTrainer(Trainer):
    """Learns from pairs: measured ones, or clean scans with noise drawn anew at every step.

    Args:
        loss: ``"l2"`` (best PSNR), ``"l1"``, or ``"charbonnier"``,
            sqrt(d^2 + 1e-6) (Lai et al., CVPR 2017).
        noise: added to the target to make the input; ``None`` takes the pair's own image.
    """

    needs_target: ClassVar[bool] = True

    def __init__(
        self,
        loss: Literal["l1", "l2", "charbonnier"] = "l2",
        noise: NoiseModel | None = None,
    ) -> None:
        self.loss = loss
        self.noise = noise
        self.options = {"loss": loss}

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean distance between prediction and target, 0 where nothing was measured."""
        assert batch.target is not None  # needs_target: the engine has checked
        noisy = self.inject(batch, draws) if self.noise is not None else batch
        distance = self._distance(network(noisy.image).float(), batch.target)
        if batch.valid is None:
            return distance.mean(), {}
        # A mean over all, not over the measured ones: so it is the mean over processes, too.
        return (distance * batch.valid).mean(), {}

    def inject(self, batch: Batch, draws: Draws) -> Batch:
        """The batch with fresh noise on its target as the image, in the scan's own units."""
        assert batch.target is not None
        assert self.noise is not None
        clean = batch.target * batch.scale + batch.shift
        levels = draws.uniform("noise level")
        noisy = torch.cat(
            [
                self.noise.apply(
                    clean[row : row + 1],
                    reference=float(batch.reference[row]),
                    generator=generator,
                    u=float(levels[row]),
                )
                for row, generator in enumerate(draws.generators("noise"))
            ]
        )
        return replace(batch, image=(noisy - batch.shift) / batch.scale)

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        if self.loss == "l1":
            return F.l1_loss(a, b, reduction="none")
        square = F.mse_loss(a, b, reduction="none")
        return square if self.loss == "l2" else (square + 1e-6).sqrt()
