"""Training that goes on from the weights of a model file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import nn

from meddenoise.config import Config, StabiliseConfig
from meddenoise.errors import ModelError
from meddenoise.inference.model_file import load_model, read_model_info
from meddenoise.networks.registry import NETWORKS
from meddenoise.training.known_model import check_same_numbers

__all__ = ["warm_start"]

_KEY = "training.start_from"


def warm_start(
    network: nn.Module,
    path: str | Path,
    config: Config,
    stabilise: StabiliseConfig,
    *,
    inputs: int = 1,
) -> None:
    """Give a network the weights of a model file.

    Args:
        network: of the same architecture and options; changed in place.
        path: the model file.
        config: of the run.
        stabilise: how the run's scans are stabilised.
        inputs: channels of the network's input.

    Raises:
        ConfigError: the model is of another network, option of it, noise map or number of axes, or
            of intensities that were normalised otherwise.
        ModelError: no such file, or damaged.
    """
    info = read_model_info(path)
    made = info["network"]
    if made["name"] != config.network.name:
        raise config.error(
            _KEY,
            f"the model is of network '{made['name']}' and this run trains "
            f"'{config.network.name}': give the same network.name, or another model.",
        )
    if made.get("inputs", 1) != inputs:
        has = "a" if made.get("inputs", 1) == 2 else "no"
        raise config.error(_KEY, f"the model has {has} noise map: make trainer.noise_map agree.")
    if (made.get("trained_with") or {}).get("batch_norm") and config.network.options.get(
        "batch_norm"
    ):
        raise config.error(
            _KEY,
            "the batch norms of the model are folded into its convolutions: give "
            "network.batch_norm: false.",
        )
    check_same_numbers(info, config, stabilise, key=_KEY)
    load_model(path, network)
    # Last: where weights do not fit, their sizes say more.
    _check_same_options(made.get("options", {}), config)
    network.train()


def _check_same_options(made: Mapping[str, Any], config: Config) -> None:
    """Refuse a model whose weights fit but mean something else: with a residual, say."""
    kind = NETWORKS.options(config.network.name)
    try:
        its, mine = (
            kind(**given).model_dump(mode="json") for given in (made, config.network.options)
        )
    except ValidationError:
        raise ModelError(f"The model of {_KEY} has a description that makes no sense.") from None
    other = [key for key in mine if mine[key] != its[key]]
    if other:
        given = ", ".join(f"network.{key}: {json.dumps(its[key])}" for key in other)
        raise config.error(_KEY, f"the model's network has other options: give {given}.")
