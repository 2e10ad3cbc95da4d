"""Whether a space of keys fits a configuration, and by what trials in it are judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from meddenoise.config import Config, parse
from meddenoise.config.space import Choice, Span
from meddenoise.errors import ConfigError

__all__ = ["check_keys", "objective_in", "with_keys"]

# Keys by which it is known whether there is a truth.
_DECIDING = ("data", "data.images", "data.targets", "data.series", "noise", "noise.name")


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


def objective_in(base: Config, axes: Mapping[str, Choice | Span]) -> tuple[str, str]:
    """What all trials of a space are judged by, and whether to ``maximize`` or ``minimize`` it.

    PSNR where validation patches have a truth, else the risk.

    Raises:
        ConfigError: some are judged by one and some by the other.
    """
    ends = {key: axis.ends() for key, axis in axes.items() if key in _DECIDING}
    # Trials never see what the configuration has for these keys.
    first = {key: values[0] for key, values in ends.items()}
    found = _objective(with_keys(base, first))
    for key, values in ends.items():
        for value in values[1:]:
            other = _objective(with_keys(base, {**first, key: value}))
            if other != found:
                raise ConfigError(
                    f"With {key} {json.dumps(values[0])} a trial is judged by {found[0]} and with "
                    f"{json.dumps(value)} by {other[0]}: search them in studies of their own."
                )
    return found


def _objective(base: Config) -> tuple[str, str]:
    from meddenoise.data import find_cases

    data = base.data
    cases = find_cases(data.images, data.targets, series=data.series, units=data.units or "")
    injected = base.noise is not None and base.noise.name is not None
    known = injected or all(
        case.target is not None or getattr(case.image, "name", "").endswith("-noisy")
        for case in cases
    )
    return ("psnr", "maximize") if known else ("risk", "minimize")
