"""Supervised training: from a noisy image to its clean partner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.noise import NoiseModel
from meddenoise.noise.simulate import AIR_HU
from meddenoise.training.losses import Compared, LossOption, WeightedLoss
from meddenoise.training.stabilised import inject_stabilised
from meddenoise.training.trainer import Trainer, register_trainer

__all__ = ["SupervisedTrainer"]


@register_trainer("supervised")
class SupervisedTrainer(Trainer):
    """Learns from pairs: measured ones, or clean scans with noise drawn anew at every step.

    Args:
        loss: a name, such as ``l2`` (best PSNR), ``l1``, ``charbonnier``, ``ssim``, ``ms_ssim``,
            ``frequency``, ``focal_frequency`` or ``random_features``, or weights of several,
            ``{l1: 1, ssim: 0.2}``; see :mod:`meddenoise.training.losses`.
        noise: added to the target to make the input; ``None`` takes the pair's own image.
        noise_map: give the network the noise's standard deviation as a second channel, constant
            in a patch, so that one network serves many levels. Added noise is known; of a pair's
            own image it is estimated.
    """

    needs_target = True

    def __init__(
        self,
        loss: LossOption = "l2",
        noise: NoiseModel | None = None,
        noise_map: bool = False,
    ) -> None:
        self.distance = WeightedLoss(loss)
        self.noise = noise
        self.noise_map = noise_map
        self.options: dict[str, Any] = {"loss": loss, "noise_map": noise_map}

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean distance between prediction and target, 0 where nothing was measured."""
        batch = self.noisy(batch, draws)
        return self.distance(Compared.of(network(self.network_input(batch)), batch))

    def noisy(self, batch: Batch, draws: Draws) -> Batch:
        """The batch as it is, or with fresh noise in place of its images."""
        return batch if self.noise is None else self.inject(batch, draws)

    def inject(self, batch: Batch, draws: Draws) -> Batch:
        """The batch with fresh noise on its target as the image, in the scan's own units.

        Of stabilised scans the target changes as well: see :func:`inject_stabilised`.
        """
        assert batch.target is not None
        assert self.noise is not None
        if batch.origins is not None:
            return inject_stabilised(self.noise, batch, draws)
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
            if self.needs_sigma:
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
