"""A model file that a run learns from: does it speak of the same numbers?"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from meddenoise.config import Config, NormaliseConfig, StabiliseConfig
from meddenoise.errors import ModelError

__all__ = ["check_same_numbers"]


def check_same_numbers(
    info: dict[str, Any], config: Config, stabilise: StabiliseConfig, *, key: str
) -> None:
    """Refuse a model whose network has seen other axes or other intensities than this run's.

    Args:
        info: the model file's description.
        config: of the run.
        stabilise: how the run's scans are stabilised.
        key: of the configuration that names the file, for messages.

    Raises:
        ModelError: its description makes no sense.
        ConfigError: they differ; the message says what to give.
    """
    dims = info["network"]["dims"]
    if dims != config.dims:
        raise config.error(
            key,
            f"the model is {dims}-D and data.patch has {config.dims} axes: give data.patch {dims} "
            "numbers, or another model.",
        )
    try:
        normalise = NormaliseConfig(**info["normalise"])
        other = StabiliseConfig(**info.get("stabilise", {}))
    except ValidationError:
        raise ModelError(f"The model of {key} has a description that makes no sense.") from None
    mine, its = _said(config.data.normalise), _said(normalise)
    if mine != its:
        raise config.error(
            key,
            f"the model knows intensities normalised by {its}, and this run has {mine}: give the "
            f"model's as data.normalise.",
        )
    if other.method != stabilise.method:
        raise config.error(
            key,
            f"the model knows scans stabilised by '{other.method}', and this run has "
            f"'{stabilise.method}': give noise.stabilise: {other.method}.",
        )


def _said(normalise: NormaliseConfig) -> str:
    """The keys that count, as YAML has them."""
    keys = {"standard": (), "percentile": ("low", "high"), "fixed": ("shift", "scale")}
    parts = [f"{key}: {getattr(normalise, key):g}" for key in keys[normalise.method]]
    return "{" + ", ".join([f"method: {normalise.method}", *parts]) + "}"
