"""A fingerprint of all that must stay the same between a run and its resumption."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from torch import nn

from meddenoise.config import TrainingConfig
from meddenoise.training.trainer import Trainer

__all__ = ["settings_hash"]

# They change nothing that is learnt; and what precision and layout come to is asked of the
# checkpoint itself.
_FREE = {"trackers", "checkpoint_every", "validate_every", "layout", "autotune"}


def settings_hash(
    settings: TrainingConfig, trainer: Trainer, network: nn.Module, more: Sequence[object]
) -> str:
    """The hash that a checkpoint is kept with.

    Args:
        settings: of the loop.
        trainer: what it learns, and its options.
        network: the shapes of its weights.
        more: the caller's fingerprint, the seed and the whole batch.
    """
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    learns = [type(trainer).__qualname__, trainer.describe()]
    loop = settings.model_dump(mode="json", exclude=_FREE)
    first, *rest = more
    told = json.dumps([first, learns, *rest, loop, shapes], default=str)
    return hashlib.sha256(told.encode()).hexdigest()
