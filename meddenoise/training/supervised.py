"""Supervised training: from a noisy image to its clean partner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.noise import NoiseModel
from meddenoise.noise.simulate import AIR_HU
from meddenoise.training.trainer import Trainer, register_trainer

__all__ = ["SupervisedTrainer"]


@register_trainer("supervised")
class SupervisedTrainer(Trainer):
    """Learns from pairs: measured ones, or clean scans with noise drawn anew at every step.

    Args:
        loss: ``"l2"`` (best PSNR), ``"l1"``, or ``"charbonnier"``,
            sqrt(d^2 + 1e-6) (Lai et al., CVPR 2017).
        noise: added to the target to make the input; ``None`` takes the pair's own image.
        noise_map: give the network the noise's standard deviation as a second channel, constant
            in a patch, so that one network serves many levels. Added noise is known; of a pair's
            own image it is estimated.
    """

    needs_target: ClassVar[bool] = True

    def __init__(
        self,
        loss: Literal["l1", "l2", "charbonnier"] = "l2",
        noise: NoiseModel | None = None,
        noise_map: bool = False,
    ) -> None:
        self.loss = loss
        self.noise = noise
        self.noise_map = noise_map
        self.options = {"loss": loss, "noise_map": noise_map}

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean distance between prediction and target, 0 where nothing was measured."""
        assert batch.target is not None  # needs_target: the engine has checked
        noisy = self.inject(batch, draws) if self.noise is not None else batch
        distance = self._distance(network(self.network_input(noisy)).float(), batch.target)
        if batch.valid is None:
            return distance.mean(), {}
        # A mean over all, not over the measured ones: so it is the mean over processes, too.
        return (distance * batch.valid).mean(), {}

    def inject(self, batch: Batch, draws: Draws) -> Batch:
        """The batch with fresh noise on its target as the image, in the scan's own units."""
        assert batch.target is not None
        assert self.noise is not None
        clean = batch.target * batch.scale + batch.shift
        in_hu = self.noise.units == "HU"
        if in_hu and batch.valid is not None:
            clean = torch.where(batch.valid, clean, AIR_HU)
        places = draws.uniform("noise level", len(self.noise.ranges))
        noisy, levels = [], []
        for row, generator in enumerate(draws.generators("noise")):
            one = clean[row : row + 1]
            drawn = self.noise.draw(reference=float(batch.reference[row]), u=places[row].tolist())
            spacing = batch.spacing[row].tolist()
            noisy.append(self.noise.run(one, drawn, generator=generator, spacing=spacing))
            if self.noise_map:
                levels.append(self._level(drawn, noisy[-1] - one, batch.valid, row))
        image = (torch.cat(noisy) - batch.shift) / batch.scale
        if in_hu and batch.valid is not None:
            # The network sees there what it will see when it denoises, not the air put in above.
            image = torch.where(batch.valid, image, batch.target)
        return replace(batch, image=image, sigma=torch.stack(levels) if levels else None)

    def _level(
        self, drawn: Mapping[str, Any], added: Tensor, valid: Tensor | None, row: int
    ) -> Tensor:
        """The standard deviation of a patch's noise: the model's own, or what was added."""
        assert self.noise is not None
        if self.noise.deviation in drawn:
            return torch.as_tensor(drawn[self.noise.deviation], device=added.device).float()
        values = added if valid is None else added[valid[row : row + 1]]
        return values.std(correction=0).nan_to_num(0.0)

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        if self.loss == "l1":
            return F.l1_loss(a, b, reduction="none")
        square = F.mse_loss(a, b, reduction="none")
        return square if self.loss == "l2" else (square + 1e-6).sqrt()
