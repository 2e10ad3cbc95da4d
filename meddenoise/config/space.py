"""What a search over a configuration may choose from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meddenoise.config.load import read_text, read_yaml
from meddenoise.errors import ConfigError
from meddenoise.registry import nearest

__all__ = ["Choice", "Span", "load_space"]

_KEYS = ("low", "high", "log", "step")


@dataclass(frozen=True)
class Choice:
    """One of these values, of any kind.

    Attributes:
        values: two or more, as a configuration has them.
    """

    values: tuple[Any, ...]

    def ask(self, trial: Any, key: str) -> Any:
        """The value for an Optuna trial; lists and the like are stored as JSON."""
        return self.value(trial.suggest_categorical(key, self.grid(key)))

    def value(self, stored: Any) -> Any:
        """A stored value, as a configuration has it."""
        return json.loads(stored)

    def grid(self, key: str) -> list[Any]:
        """All values, as they are stored."""
        return [json.dumps(value) for value in self.values]

    def ends(self) -> tuple[Any, ...]:
        """Values to check against the schema."""
        return self.values

    def describe(self) -> Any:
        """For a study's description."""
        return list(self.values)


@dataclass(frozen=True)
class Span:
    """A number between two, whole if both are.

    Attributes:
        low, high: both included.
        log: as likely in each power of ten.
        step: only ``low``, ``low + step``, ...; ``None`` for any.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def whole(self) -> bool:
        """Whether it is of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def ask(self, trial: Any, key: str) -> Any:
        """The value for an Optuna trial."""
        if self.whole:
            step = 1 if self.step is None else int(self.step)
            return trial.suggest_int(key, self.low, self.high, step=step, log=self.log)
        return trial.suggest_float(key, self.low, self.high, step=self.step, log=self.log)

    def value(self, stored: Any) -> Any:
        """A stored value, as a configuration has it."""
        return stored

    def grid(self, key: str) -> list[Any]:
        """All values.

        Raises:
            ConfigError: there is no end of them.
        """
        if self.step is None:
            raise ConfigError(f"A grid needs the values of {key}: give a list of them, or a step.")
        count = math.floor((self.high - self.low) / self.step + 1e-9)
        return [self.low + n * self.step for n in range(count + 1)]

    def ends(self) -> tuple[Any, ...]:
        """Values to check against the schema."""
        return (self.low, self.high)

    def describe(self) -> Any:
        """For a study's description."""
        told = {"low": self.low, "high": self.high, "log": self.log}
        return told if self.step is None else told | {"step": self.step}


def load_space(space: Mapping[str, Any] | str | Path) -> dict[str, Choice | Span]:
    """The keys to search and what each may be.

    Args:
        space: a YAML file or its contents: ``key.sub: [a, b]`` for one of these, ``key.sub:
            {low: 1.0e-4, high: 1.0e-2, log: true}`` for a number between two, with ``step`` for
            one of a few.

    Raises:
        ConfigError: no such file, or what it says makes no space.
    """
    file = "The space"
    values: Any = space
    if isinstance(space, (str, Path)):
        file = str(space)
        values = read_yaml(read_text(space), file)[0]
    if not isinstance(values, Mapping) or not values:
        raise ConfigError(f"{file} must be a mapping of keys to what they may be, and not empty.")
    return {str(key): _axis(f"{file}: {key}", what) for key, what in values.items()}


def _axis(where: str, what: Any) -> Choice | Span:
    if isinstance(what, list):
        try:
            stored = {json.dumps(value, allow_nan=False) for value in what}
        except (TypeError, ValueError):
            raise ConfigError(
                f"{where}: a value is a finite number, a text, true, false, null, or a list or "
                "section of these; a date goes in quotes."
            ) from None
        if len(what) < 2 or len(stored) < len(what):
            raise ConfigError(f"{where} needs two or more different values.")
        return Choice(tuple(what))
    if not isinstance(what, Mapping):
        raise ConfigError(f"{where} is neither a list of values nor {{low, high}}.")
    for key in what:
        if key not in _KEYS:
            raise ConfigError(
                f"{where} has no key '{key}'{nearest(str(key), _KEYS)}; there are: "
                f"{', '.join(_KEYS)}."
            )
    low, high = _number(where, what, "low"), _number(where, what, "high")
    step = _number(where, what, "step") if "step" in what else None
    log = what.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"{where}: log must be true or false.")
    if low >= high:
        raise ConfigError(f"{where}: low must be below high.")
    if log and (low <= 0 or step is not None):
        raise ConfigError(f"{where}: log needs low above 0, and no step.")
    if step is not None and step <= 0:
        raise ConfigError(f"{where}: step must be above 0.")
    if step is not None and (high - low) / step < 1 - 1e-9:  # as in the grid, 0.3 - 0.1 is 0.2
        raise ConfigError(f"{where}: step must be at most high - low, or there is but one value.")
    if isinstance(low, int) and isinstance(high, int) and step is not None and step % 1:
        raise ConfigError(f"{where}: whole numbers need a whole step; write low as a fraction.")
    return Span(low, high, log, step)


def _number(where: str, what: Mapping[str, Any], key: str) -> Any:
    value = what.get(key)
    if isinstance(value, str):  # YAML 1.1 reads 1e-3 as a text
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"{where}: {key} must be a number.")
    return value
