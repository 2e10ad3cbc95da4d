"""UNSURE: SURE for a scan whose noise level nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import reduce
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ParameterError
from meddenoise.training.risk import divergence
from meddenoise.training.trainer import Trainer, register_trainer

__all__ = ["UnsureTrainer"]

# Of the standard deviation of normalised intensities: small beside the noise of most scans.
_PROBE = 0.05


@register_trainer("unsure")
class UnsureTrainer(Trainer):
    """Tachella, Davies and Jacques, "UNSURE", ICLR 2025.

        min over f, max over eta:  |f(y) - y|^2 / n + 2 eta div f(y) / n

    SURE with the noise's variance replaced by a multiplier eta, which rises as long as the
    network copies voxels in the mean and falls where it does the contrary. At the saddle point
    the divergence is 0, and eta, which is logged, is near the variance, from above. The network
    is that of the best among those without divergence: a little worse than with SURE and the true
    level, better than with SURE and a wrong one.

    Right for white Gaussian noise, of one level in normalised intensities for all scans.

    Args:
        rate: how fast eta follows the divergence.
    """

    def __init__(self, rate: float = 0.05) -> None:
        if not rate > 0:
            raise ParameterError(f"rate is above 0, not {rate}.")
        self.rate = rate
        self.options: dict[str, Any] = {"rate": rate}
        self.eta = torch.zeros(())

    def look_at(self, items: Sequence[Item]) -> None:
        """A new run begins with eta at 0."""
        self.eta = torch.zeros(())

    def independent_axes(self, dims: int) -> tuple[int, ...]:
        """All."""
        return tuple(range(dims))

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The Lagrangian at the present eta, which then goes a step up; not in validation."""
        probe = 2.0 * draws.integers("probe", 2, *batch.image.shape[1:]) - 1
        if batch.valid is not None:
            probe = probe * batch.valid  # what was filled in has no noise
        moved = torch.cat([batch.image, batch.image + _PROBE * probe])
        output, other = network(moved).float().chunk(2)
        trace = divergence(probe, output, other, torch.tensor(_PROBE)).mean()
        error = (output - batch.image).square()
        if batch.valid is not None:
            # A mean over all, not over the measured ones: so it is the mean over processes, too.
            error = error * batch.valid
        eta = self.eta.to(trace.device)
        loss = error.mean() + 2 * eta * trace
        if torch.is_grad_enabled():
            self._follow(trace.detach(), draws)
        return loss, {"eta": eta, "divergence": trace.detach()}

    def _follow(self, trace: Tensor, draws: Draws) -> None:
        """A step of eta, the same on all processes."""
        if draws.world > 1:
            trace = reduce(trace, reduction="mean")
        self.eta = (self.eta.to(trace.device) + self.rate * trace).clamp(min=0)

    def state_dict(self) -> dict[str, Any]:
        """Eta."""
        return {"eta": self.eta}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.eta = state["eta"]
