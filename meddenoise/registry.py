"""Named parts (networks, trainers, noise models, filters) and their options.

A part is a class or a function; its options are the keyword parameters of its signature, with
their annotations and defaults. So one decorator is all that a user's own part needs, and a
configuration file is checked against the same signature that Python checks.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from meddenoise.errors import ConfigError

__all__ = ["Registry", "nearest"]

T = TypeVar("T", bound=Callable[..., Any])


def nearest(word: str, choices: Iterable[str]) -> str:
    """``" (did you mean 'x'?)"`` for the closest choice, or ``""`` if none is close."""
    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


class Registry(Generic[T]):
    """Parts of one kind by name.

    Args:
        kind: what they are, for messages: ``"network"``.
        skip: parameters of the signature that are not options (they come from the code).
        skip_first: neither is the first parameter, whatever its name.
    """

    def __init__(self, kind: str, *, skip: tuple[str, ...] = (), skip_first: bool = False) -> None:
        self.kind = kind
        self._skip = set(skip)
        self._first = int(skip_first)
        self._parts: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that makes a class or function known by ``name``."""

        def add(part: T) -> T:
            known = self._parts.get(name)
            # The same definition again is a notebook's cell or a module run twice.
            if known is not None and _home(known) != _home(part):
                raise ConfigError(f"There is a {self.kind} called '{name}' already: {known!r}.")
            self._parts[name] = part
            return part

        return add

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._parts))

    def get(self, name: str) -> T:
        """The part of that name.

        Raises:
            ConfigError: there is none; the message lists what there is.
        """
        if name not in self._parts:
            hint = nearest(name, self._parts)
            raise ConfigError(
                f"There is no {self.kind} '{name}'{hint}; there are: {', '.join(self.names())}."
            )
        return self._parts[name]

    def options(self, name: str) -> type[BaseModel]:
        """A strict model of the options of a part: their types, defaults and JSON Schema.

        Raises:
            ConfigError: no such part, or an annotation in its signature that names nothing.
        """
        given = list(inspect.signature(self.get(name)).parameters.values())[self._first :]
        fields: dict[str, Any] = {
            parameter.name: (
                self.option_type(name, parameter),
                ... if parameter.default is parameter.empty else parameter.default,
            )
            for parameter in given
            if parameter.name not in self._skip
            and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        }
        model: type[BaseModel] = create_model(
            f"{name} {self.kind}",
            __config__=ConfigDict(
                extra="forbid",
                arbitrary_types_allowed=True,
                allow_inf_nan=False,
                protected_namespaces=(),  # an option may well be called model_size
            ),
            **fields,
        )
        return model

    def option_type(self, name: str, parameter: inspect.Parameter) -> Any:
        """What an option of a part may be: its annotation.

        Raises:
            ConfigError: the annotation names nothing.
        """
        part = self.get(name)
        function = inspect.unwrap(part.__init__ if inspect.isclass(part) else part)
        hint = Any if parameter.annotation is parameter.empty else parameter.annotation
        alone = SimpleNamespace(__annotations__={"option": hint})
        try:
            known = getattr(function, "__globals__", {})
            return get_type_hints(alone, known, include_extras=True)["option"]
        except NameError as fault:
            raise ConfigError(
                f"The options of the {self.kind} '{name}' cannot be checked, because of an "
                f"annotation in its signature ({fault}): import that type at the top of its module."
            ) from None


def _home(part: Callable[..., Any]) -> tuple[str, str]:
    return part.__module__, part.__qualname__
