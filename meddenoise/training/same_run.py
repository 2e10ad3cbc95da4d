"""What must stay the same between a run and its resumption, and what does not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from meddenoise.config import TrainingConfig
from meddenoise.errors import ConfigError
from meddenoise.training.trainer import Trainer

__all__ = ["check_same_run", "settings_of"]

# They change nothing that is learnt; and what precision and layout come to is asked of the
# checkpoint itself.
_FREE = {"trackers", "checkpoint_every", "validate_every", "layout", "autotune"}
# What follows from keys, and is told where none of them explains it.
_BATCH, _TRAINER, _WEIGHTS = _FOLLOWING = "the batch", "the trainer", "the network's weights"
# Differences that are told, and the characters of a value that is told with them.
_MOST, _SHORT = 3, 40


def settings_of(
    config: str,
    settings: TrainingConfig,
    trainer: Trainer,
    network: nn.Module,
    *,
    seed: int,
    batch: int,
) -> str:
    """What a checkpoint is kept with, as JSON.

    Args:
        config: the caller's configuration as JSON, without what may differ; ``""`` for none.
        settings: of the loop.
        trainer: what it learns, and its options.
        network: the shapes of its weights.
        seed: of all draws.
        batch: of all processes together.
    """
    # Validations decide when a run ends that has no more patience.
    free = _FREE if settings.patience is None else _FREE - {"validate_every"}
    told = {
        **(json.loads(config) if config else {}),
        "seed": seed,
        "training": settings.model_dump(mode="json", exclude=free),
        _BATCH: batch,
        _TRAINER: [type(trainer).__qualname__, trainer.describe()],
        _WEIGHTS: {name: tuple(p.shape) for name, p in network.named_parameters()},
    }
    return json.dumps(told, default=str)


def check_same_run(directory: Path, before: str, now: str) -> None:
    """Raise where a checkpoint is of another run than the one that would go on from it.

    Args:
        directory: of the run.
        before, now: of :func:`settings_of`.

    Raises:
        ConfigError: something differs; the message names it, if it can be told.
    """
    if before != now:
        raise ConfigError(
            f"The checkpoint in {directory} is of a run with another configuration"
            f"{_changed(before, now)}: resume with the same one, or choose another --output."
        )


def _changed(before: str, now: str) -> str:
    """The keys that differ and how, in brackets after a blank."""
    try:
        one, other = (dict(_flat(json.loads(told))) for told in (before, now))
    except (ValueError, AttributeError):
        return ", or of an older version, which kept a hash of it"
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    names = [name for name in names if name not in _FOLLOWING] or names
    told = [_said(name, one.get(name), other.get(name)) for name in names[:_MOST]]
    if len(names) > _MOST:
        told.append(f"{len(names) - _MOST} more")
    return f" ({', '.join(told)})" if told else ""


def _flat(told: Mapping[str, Any], above: Sequence[str] = ()) -> Iterator[tuple[str, Any]]:
    """Keys as they are set, ``training.steps``, and their values."""
    for key, value in told.items():
        if isinstance(value, Mapping) and value and key not in _FOLLOWING:
            yield from _flat(value, (*above, key))
        else:
            yield ".".join((*above, key)), value


def _said(name: str, before: Any, now: Any) -> str:
    one, other = ("not set" if v is None else json.dumps(v) for v in (before, now))
    if max(len(one), len(other)) > _SHORT:
        return f"{name} is another"
    return f"{name} was {one} and is {other}"
