"""SURE: learn from one noisy scan by an unbiased estimate of the error to the unknown truth."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.training.known_noise import KnownNoiseTrainer
from meddenoise.training.risk import PROBE, divergence
from meddenoise.training.trainer import register_trainer

__all__ = ["SureTrainer"]


@register_trainer("sure")
class SureTrainer(KnownNoiseTrainer):
    """Stein's unbiased risk estimate (Stein, Ann. Stat. 9:1135, 1981; Soltanayev and Chun, NeurIPS
    2018).

        |f(y) - y|^2 / n - sigma^2 + 2 sigma^2 / n div f(y)

    The first term alone would be least for f(y) = y; the last one charges for every voxel that
    the network copies. In the mean over the noise this is the squared error to the truth, so
    nothing is hidden from the network and nothing is down-sampled, and the loss that is logged
    is the error itself, below 0 now and then by chance.

    Right for white Gaussian noise of a known level. Rician and photon noise want a variance
    stabilisation; for correlated noise it is wrong (the network learns to copy the noise).

    Args:
        sigma: standard deviation of the noise in the scan's units, or ``"10%"`` of its 99.9th
            percentile; estimated for each scan if null.
        noise_map: tell the network the level as well, in a second channel.
    """

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The estimate of the mean squared error to the truth."""
        sigma = self.level(batch)
        probe = 2.0 * draws.integers("probe", 2, *batch.image.shape[1:]) - 1
        if batch.valid is not None:
            probe = probe * batch.valid  # what was filled in has no noise
        step = PROBE * sigma
        moved = replace(batch, image=batch.image + step * probe)
        both = torch.cat([self.network_input(batch), self.network_input(moved)])
        output, other = network(both).float().chunk(2)
        risk = (output - batch.image).square() - sigma**2
        risk = risk + 2 * sigma**2 * divergence(probe, output, other, step)
        if batch.valid is not None:
            # A mean over all, not over the measured ones: so it is the mean over processes, too.
            risk = risk * batch.valid
        return risk.mean(), {}
