"""The exponential moving average of the weights, which is what a run returns."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """Polyak averaging: less noisy than any one step, and no luck of the last one.

    Attributes:
        network: a copy of the network that holds the average; in evaluation mode.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, decay: float) -> None:
        """average = decay * average + (1 - decay) * network; buffers are copied."""
        mine: list[Tensor] = list(self.network.parameters())
        theirs: list[Tensor] = [parameter.detach() for parameter in network.parameters()]
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for own, other in zip(self.network.buffers(), network.buffers(), strict=True):
            own.copy_(other)
