"""Whether a space of keys fits a configuration, and by what trials in it are judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from meddenoise.config import Config, parse
from meddenoise.config.space import Choice, Span
from meddenoise.errors import ConfigError

__all__ = ["check_keys", "check_objective", "objective_of", "with_keys"]


def with_keys(base: Config, picked: Mapping[str, Any]) -> Config:
    """The configuration with other values of some keys.

    Raises:
        ConfigError: it does not make sense.
    """
    values = base.model_dump(mode="json", exclude_unset=True)
    return parse(values, [f"{key}={json.dumps(value)}" for key, value in picked.items()])


def check_keys(base: Config, axes: Mapping[str, Choice | Span]) -> None:
    """Every key with its ends: a typo is found before the first training.

    Raises:
        ConfigError: a key or a value that does not fit the configuration, or changes nothing.
    """
    for key, axis in axes.items():
        if key in ("name", "output"):
            raise ConfigError(f"The space has the key {key}, which no training depends on.")
        for value in axis.ends():
            try:
                with_keys(base, {key: value})
            except ConfigError as fault:
                raise ConfigError(f"The space does not fit the configuration: {fault}") from None


def check_objective(base: Config, axes: Mapping[str, Choice | Span], objective: str) -> None:
    """Raise a ConfigError for a space of which not all is judged in the same way."""
    for key, axis in axes.items():
        if key.split(".")[0] not in ("data", "noise"):
            continue
        for value in axis.ends():
            other = objective_of(with_keys(base, {key: value}))[0]
            if other != objective:
                raise ConfigError(
                    f"With {key} {json.dumps(value)} a trial is judged by {other} and by "
                    f"{objective} without: search it in studies of their own."
                )


def objective_of(base: Config) -> tuple[str, str]:
    """PSNR where validation patches have a truth, else the risk; and which way is better."""
    from meddenoise.data import find_cases

    data = base.data
    cases = find_cases(data.images, data.targets, series=data.series, units=data.units or "")
    injected = base.noise is not None and base.noise.name is not None
    known = injected or all(
        case.target is not None or getattr(case.image, "name", "").endswith("-noisy")
        for case in cases
    )
    return ("psnr", "maximize") if known else ("risk", "minimize")
