"""Neighbor2Neighbor first, then R2R or SURE: fast steps at half resolution, then the full one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ParameterError
from meddenoise.training.known_noise import KnownNoiseTrainer
from meddenoise.training.neighbor2neighbor import Neighbor2NeighborTrainer
from meddenoise.training.r2r import R2RTrainer
from meddenoise.training.sure import SureTrainer
from meddenoise.training.trainer import register_trainer

__all__ = ["StagedTrainer"]

# Where the learning rate's course is at the switch, however few the steps after it: a cosine has
# come down to a fifth there.
_AT_SWITCH = 0.7


@register_trainer("staged")
class StagedTrainer(KnownNoiseTrainer):
    """Neighbor2Neighbor for most of the run, R2R or SURE for the rest; one network throughout.

    A step of :class:`Neighbor2NeighborTrainer` sees an eighth of the voxels, so that a short run
    has many; but it learns at half the resolution. :class:`SureTrainer` and :class:`R2RTrainer`
    teach the network the scan's own resolution, at the price of slow steps, and need not start
    from nothing.

    Right for white Gaussian noise of a known level, as they are.

    Args:
        sigma: standard deviation of the noise in the scan's units, or ``"10%"`` of its 99.9th
            percentile; estimated for each scan if null.
        switch: the share of the run that belongs to Neighbor2Neighbor: of its steps, or of its
            time under ``training.max_minutes``. In 3-D its steps take a fifth to a tenth of the
            time of the others. The learning rate follows the stages, not the steps.
        then: ``"r2r"`` or ``"sure"``.
        axes: along which neighbours are taken; the finest ones if null.
    """

    def __init__(
        self,
        sigma: float | str | None = None,
        switch: float = 0.9,
        then: Literal["sure", "r2r"] = "r2r",
        axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(sigma)
        if not 0 < switch < 1:
            raise ParameterError(f"switch is above 0 and below 1, not {switch}.")
        self.switch = switch
        second = {"sure": SureTrainer, "r2r": R2RTrainer}
        if then not in second:
            raise ParameterError(f"then is one of {', '.join(second)}, not {then}.")
        self.first = Neighbor2NeighborTrainer(axes=axes)
        self.then = second[then](sigma)
        self.options = {
            "sigma": sigma,
            "switch": switch,
            "then": then,
            "axes": self.first.options["axes"],
        }

    def look_at(self, items: Sequence[Item]) -> None:
        """Choose the axes of neighbours."""
        self.first.look_at(items)
        self.turns = self.first.turns

    def schedule(self, progress: float) -> float:
        """The first stage takes most of the learning rate's course, the second the rest."""
        if progress < self.switch:
            return _AT_SWITCH * progress / self.switch
        return _AT_SWITCH + (1 - _AT_SWITCH) * (progress - self.switch) / (1 - self.switch)

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """That of the trainer whose turn it is; ``stage`` is 0 or 1."""
        stage = int(draws.progress >= self.switch)
        loss, _ = (self.first, self.then)[stage].training_step(network, batch, draws)
        return loss, {"stage": torch.tensor(float(stage))}
