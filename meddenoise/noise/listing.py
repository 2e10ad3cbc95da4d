"""What noise models there are, with their parameters, told from the functions themselves."""

from __future__ import annotations

import inspect
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args, get_origin

from meddenoise.noise.registry import NOISES, noise_names

__all__ = ["NoiseDescription", "NoiseParameter", "list_noises"]


@dataclass(frozen=True)
class NoiseParameter:
    """What a user may set.

    Attributes:
        name: as in ``--set name=value``.
        kind: how it is read: ``"level"``, ``"fraction"``, ``"number"``, ``"map"``, ``"2d or 3d"``,
            ...; ``""`` if only the model knows.
        default: ``None`` if it must be given, or is chosen by the model.
        required: it must be given.
        about: what it is, with its unit, in a line; ``""`` if the docstring does not say.
    """

    name: str
    kind: str
    default: Any
    required: bool
    about: str


@dataclass(frozen=True)
class NoiseDescription:
    """A noise model, as people are told of it.

    Attributes:
        name: as in ``--noise``.
        about: one line.
        units: that an image must have, ``""`` for any.
        parameters: in the order of the function's.
    """

    name: str
    about: str
    units: str
    parameters: tuple[NoiseParameter, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def list_noises() -> list[NoiseDescription]:
    """All registered noise models, by name."""
    return [_describe(name) for name in noise_names()]


def _describe(name: str) -> NoiseDescription:
    text = inspect.getdoc(NOISES.get(name)) or ""
    told = _arguments(text)
    parameters = tuple(
        NoiseParameter(
            option,
            _kind(name, option, field.annotation),
            None if field.is_required() else field.default,
            field.is_required(),
            told.get(option, ""),
        )
        for option, field in NOISES.options(name).model_fields.items()
    )
    about = _plain(text.partition("\n")[0]).rstrip(".:")
    return NoiseDescription(name, about, NOISES.readings[name].units, parameters)


def _kind(name: str, option: str, annotation: Any) -> str:
    reading = NOISES.readings[name]
    declared = {"level": reading.levels, "fraction": reading.fractions, "map": reading.maps}
    for kind, names in declared.items():
        if option in names:
            return kind
    if get_origin(annotation) is Literal:
        return " or ".join(map(str, get_args(annotation)))
    known = {int: "whole number", bool: "true or false", str: "text"}
    if annotation in known:
        return known[annotation]
    default = NOISES.options(name).model_fields[option].default
    return "number" if isinstance(default, float) else ""


def _arguments(text: str) -> dict[str, str]:
    """The first clause of each item under "Args:" in a docstring."""
    _, _, rest = text.partition("\nArgs:\n")
    section = re.split(r"\n\S", rest)[0]
    items = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, flags=re.MULTILINE)
    return {name: _plain(re.split(r"[;.](?:\s|$)", about)[0]) for name, about in items}


def _plain(text: str) -> str:
    """A docstring's text without its markup and line breaks."""
    text = re.sub(r":\w+:`[.~]?([^`]+)`", r"\1", text)
    return " ".join(re.sub(r"[`*]", "", text).split())
