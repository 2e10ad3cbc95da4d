"""Adversarial training: a critic beside the network asks for the texture of clean scans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from accelerate.utils import reduce
from torch import Tensor, nn

from meddenoise.data.draws import Draws, seeded
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ParameterError
from meddenoise.networks.critic import PatchCritic
from meddenoise.noise import NoiseModel
from meddenoise.training.losses import Compared, LossOption
from meddenoise.training.supervised import SupervisedTrainer
from meddenoise.training.trainer import register_trainer

__all__ = ["AdversarialTrainer", "gradient_penalty"]

_PENALTY = 10.0


@register_trainer("adversarial")
class AdversarialTrainer(SupervisedTrainer):
    """Learns from pairs as ``supervised`` does, and from a critic that tells its results apart.

    A distance to the truth asks for the mean of all truths that are possible, which is smooth. The
    critic asks for a result that could be a clean patch: more texture, less PSNR, and **texture
    that was not measured**. It is for pictures, and for those who know what they do with them.

    The critic's step comes before the network's, on the same batch. Its weights and its optimizer
    are the trainer's own, are part of the checkpoint, and the same on all processes.

    Args:
        loss: the distance to the truth, as for ``supervised``.
        weight: of what the critic says, beside the distance's 1.
        critic: ``hinge`` with spectral norm (Miyato et al., ICLR 2018) or ``wgan-gp``, the
            Wasserstein distance with a gradient penalty of 10 (Gulrajani et al., NeurIPS 2017; for
            low-dose CT Yang et al., IEEE TMI 37(6), 2018).
        critic_width: features of the critic's first layer.
        critic_rate: its learning rate (Adam without momentum).
        critic_steps: its steps for each one of the network (Gulrajani et al.: 5).
        noise: added to the target to make the input; ``None`` takes the pair's own image.
        noise_map: give the network the noise's standard deviation as a second channel.

    Raises:
        ParameterError: an impossible number.
    """

    def __init__(
        self,
        loss: LossOption = "l1",
        weight: float = 0.01,
        critic: Literal["hinge", "wgan-gp"] = "hinge",
        critic_width: int = 32,
        critic_rate: float = 4e-4,
        critic_steps: int = 1,
        noise: NoiseModel | None = None,
        noise_map: bool = False,
    ) -> None:
        super().__init__(loss, noise, noise_map)
        if not weight > 0:
            raise ParameterError(f"weight is above 0, not {weight}: without it take supervised.")
        if critic not in ("hinge", "wgan-gp"):
            raise ParameterError(f"critic is 'hinge' or 'wgan-gp', not {critic!r}.")
        if critic_width < 1 or critic_steps < 1 or not critic_rate > 0:
            raise ParameterError(
                "critic_width and critic_steps are at least 1 and critic_rate is above 0, not "
                f"{critic_width}, {critic_steps} and {critic_rate}."
            )
        self.weight = weight
        self.kind = critic
        self.width = critic_width
        self.rate = critic_rate
        self.steps = critic_steps
        self.options |= {
            "weight": weight,
            "critic": critic,
            "critic_width": critic_width,
            "critic_rate": critic_rate,
            "critic_steps": critic_steps,
        }
        self._critic: PatchCritic | None = None
        self._optimizer: torch.optim.Optimizer | None = None
        self._saved: dict[str, Any] = {}

    def look_at(self, items: Sequence[Item]) -> None:
        """A new run begins with a new critic."""
        self._critic, self._optimizer, self._saved = None, None, {}

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The distance to the truth and the critic's opinion, after a step of the critic's."""
        batch = self.noisy(batch, draws)
        pair = Compared.of(network(self.network_input(batch)), batch)
        distance, terms = self.distance(pair)
        # The critic computes in float32 and on its own: no scaler of the engine's is about it.
        with torch.autocast(pair.output.device.type, enabled=False):
            critic = self._ready(pair.output, draws)
            if torch.is_grad_enabled():  # not in validation
                critic.train()
                for number in range(self.steps):
                    found = self._improve(pair, draws, number)
                terms = {**terms, "critic": found}
            critic.eval().requires_grad_(False)
            opinion = -critic(pair.output).mean()
            critic.requires_grad_(True)
        terms = {**terms, "distance": distance, "opinion": opinion}
        return distance + self.weight * opinion, terms

    def _ready(self, like: Tensor, draws: Draws) -> PatchCritic:
        """The critic, made at the first step: its first weights follow from the run's seed."""
        if self._critic is None:
            with seeded(draws.seed):
                critic = PatchCritic(like.ndim - 2, self.width, spectral=self.kind == "hinge")
            critic = critic.to(like.device)
            self._optimizer = torch.optim.Adam(critic.parameters(), lr=self.rate, betas=(0.0, 0.9))
            if self._saved:
                critic.load_state_dict(self._saved["critic"])
                self._optimizer.load_state_dict(self._saved["optimizer"])
                self._saved = {}
            self._critic = critic
        return self._critic

    def _improve(self, pair: Compared, draws: Draws, number: int) -> Tensor:
        """One step of the critic; its loss before it."""
        critic, optimizer = self._critic, self._optimizer
        assert critic is not None
        assert optimizer is not None
        clean, denoised = pair.target, pair.output.detach()
        if self.kind == "hinge":
            loss = torch.relu(1 - critic.scores(clean)).mean()
            loss = loss + torch.relu(1 + critic.scores(denoised)).mean()
        else:
            between = draws.uniform(f"between {number}").view(-1, *(1,) * (clean.ndim - 1))
            loss = (critic(denoised) - critic(clean)).mean()
            mixed = clean + between * (denoised - clean)
            loss = loss + _PENALTY * gradient_penalty(critic, mixed)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if draws.world > 1:
            for parameter in critic.parameters():
                parameter.grad = reduce(parameter.grad, reduction="mean")
        optimizer.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """The critic and its optimizer."""
        if self._critic is None or self._optimizer is None:
            return self._saved
        return {"critic": self._critic.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there, at the next step."""
        self._critic, self._optimizer, self._saved = None, None, state


def gradient_penalty(critic: nn.Module, x: Tensor) -> Tensor:
    """(|d critic(x) / dx| - 1)^2, the mean over patches (Gulrajani et al., NeurIPS 2017).

    Args:
        critic: ``(B, 1, *patch)`` to ``(B,)``.
        x: ``(B, 1, *patch)``, between clean and denoised patches.
    """
    x = x.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()
