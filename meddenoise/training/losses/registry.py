"""Losses by name.

A loss takes a :class:`Compared` and gives ``(B,)``, a value a patch, each a mean over all voxels of
the patch in which those that were not measured count as 0::

    @register_loss("mine")
    def mine(pair: Compared) -> Tensor:
        return pair.mean((pair.output - pair.target) ** 4)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor

from meddenoise.registry import Registry
from meddenoise.training.losses.compared import Compared

__all__ = ["LOSSES", "Loss", "loss_names", "register_loss"]

Loss: TypeAlias = Callable[[Compared], Tensor]

LOSSES: Registry[Loss] = Registry("loss", skip_first=True)


def register_loss(name: str) -> Any:
    """A decorator that makes a loss known to configurations by ``name``."""
    return LOSSES.register(name)


def loss_names() -> tuple[str, ...]:
    """The names that ``trainer.loss`` may take, or weigh."""
    return LOSSES.names()
