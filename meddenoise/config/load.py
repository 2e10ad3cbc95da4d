"""Reads a YAML file and overrides into a :class:`Config`, and writes one back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, TypeVar

import numpy as np
import yaml
from pydantic import BaseModel, ValidationError

from meddenoise.config.explain import Key, explain
from meddenoise.config.schema import Config
from meddenoise.errors import ConfigError

__all__ = [
    "dump",
    "dump_values",
    "load",
    "parse",
    "parse_settings",
    "read_text",
    "read_yaml",
    "validated",
]

M = TypeVar("M", bound=BaseModel)

# The section that only configurations of a command have.
_SECTIONS = {"trainer": "train", "synthetic": "pretrain", "methods": "benchmark"}
_KINDS = {"str": "text", "int": "whole number", "float": "number", "timestamp": "date"}
_SHOWN = 60
_QUOTES = "put a text in quotes"
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def load(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """The configuration in a YAML file.

    Args:
        path: the file.
        overrides: ``key.sub=value`` each, the value in YAML; ``noise=null`` removes a section.

    Raises:
        ConfigError: no such file, no YAML, or a key or value that the schema refuses; the
            message names the key, the nearest valid key and the line.
    """
    config = parse(read_text(path), overrides, file=str(path))
    return config if config.name else config.renamed(Path(path).stem)


def read_text(path: str | Path) -> str:
    """The text of a configuration file.

    Raises:
        ConfigError: no such file, or no text.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration file {path}.") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path} cannot be read as a text file: {fault}.") from None


def parse(
    text: str | Mapping[str, Any], overrides: Iterable[str] = (), *, file: str = ""
) -> Config:
    """The configuration in a YAML text or a dictionary; see :func:`load`."""
    config, lines = validated(Config, text, overrides, file=file)
    config._lines.update(lines)
    config._file = file
    return config


def validated(
    model: type[M], text: str | Mapping[str, Any], overrides: Iterable[str] = (), *, file: str = ""
) -> tuple[M, dict[Key, int]]:
    """What a YAML text or a dictionary says, as a strict model, and the line of each key.

    Raises:
        ConfigError: no YAML, or a key or value that the model refuses; see :func:`load`.
    """
    lines: dict[Key, int] = {}
    values: Any
    if isinstance(text, str):
        values, lines = read_yaml(text, file or "The configuration")
    else:
        values = _plain(text)
    if not isinstance(values, dict):
        raise ConfigError(f"{file or 'A configuration'} must be a mapping of keys to values.")
    for override in overrides:
        key = _override(values, override)
        lines = {k: line for k, line in lines.items() if k[: len(key)] != key} | {key: 0}
    try:
        return model.model_validate(values), lines
    except ValidationError as error:
        other = _of_another_command(values, model)
        told = other and f"{file or 'The configuration'} is one for meddenoise {other}."
        raise ConfigError(told or explain(error, model, lines=lines, file=file)) from None


def _of_another_command(values: Mapping[str, Any], model: type[BaseModel]) -> str | None:
    """Whose configuration it is, where it has the section of another command and not our own."""
    own = _SECTIONS.keys() & model.model_fields.keys()
    if not own or own & values.keys():
        return None
    return next((command for key, command in _SECTIONS.items() if key in values), None)


def dump(config: Config) -> str:
    """The YAML text of a configuration, every default spelled out."""
    return dump_values(config.model_dump(mode="json"))


def dump_values(values: Mapping[str, Any]) -> str:
    """YAML that is read back as the same values, here and by others."""
    return yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """``["sigma=1.5", "rule=visu"]`` as a dictionary.

    Raises:
        ConfigError: no ``key=value``, or a value that is no YAML.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        _override(values, setting)
    return values


_TAG = "tag:yaml.org,2002:"
# Of YAML 1.1; keys of those names are texts.
_BOOLEANS = ("yes", "no", "on", "off")


class _Loader(yaml.SafeLoader):
    """YAML as editors and people read it: by the core schema of YAML 1.2.

    YAML 1.1, as the library has it, takes the key ``on`` for true, ``010`` for 8, ``1:30`` for 90
    and ``1e-3`` for a text. That ``yes`` and ``on`` are true as values stays: many write it so.
    Aliases are refused: nested, a few lines of them unfold to more than any memory holds.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(
                None, None, "aliases (*name) are not read", mark, _QUOTES
            )
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        for key, _ in node.value:
            if key.tag == f"{_TAG}bool" and key.style is None and key.value.lower() in _BOOLEANS:
                key.tag = f"{_TAG}str"
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """What looks like a date or a number and is none (2024-13-01) is a fault of the file."""
        if not isinstance(node, yaml.ScalarNode):
            return super().construct_object(node, deep)
        shown = repr(node.value if len(node.value) < _SHOWN else f"{node.value[:_SHOWN]}...")
        try:
            made = super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, ValueError):
            kind = _KINDS.get(node.tag.rpartition(":")[2], "value of its kind")
            problem, note = f"{shown} is no {kind}", _QUOTES
        else:
            # "D:\\0815" in double quotes is such a one, and no file can have it in its name.
            if not (isinstance(made, str) and _NO_TEXT.search(made)):
                return made
            problem, note = f"{shown} holds no text", "in double quotes a \\ begins an escape"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark, note)


class _Dumper(yaml.SafeDumper):
    """Puts a text in quotes that ``_Loader``, or a reader of YAML 1.1, would not read as one."""


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    """``16``, ``0x10`` or ``0o20``; YAML 1.1 knows no ``0o``."""
    return int(loader.construct_scalar(node), 0)


# What a plain word is, besides a text. Core but for three things: a number with a leading zero is a
# text, which a series' may well be (who means 8 by 010, and who 10?); 10_000 is a number; and yes,
# no, on and off are true and false.
_PLAIN_WORDS = {
    "bool": (
        r"true|True|TRUE|false|False|FALSE"
        r"|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF",
        "tTfFyYnNoO",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "int": (
        r"[-+]?(0|[1-9][0-9_]*|0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+)",
        "-+0123456789",
    ),
    "float": (
        r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
}
_Loader.yaml_implicit_resolvers = {}
for _side in (_Loader, _Dumper):
    for _kind, (_words, _first) in _PLAIN_WORDS.items():
        _side.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(rf"^(?:{_words})\Z"), list(_first))
_Loader.add_constructor(f"{_TAG}int", _whole_number)


def read_yaml(text: str, what: str) -> tuple[Any, dict[Key, int]]:
    """What a YAML text says, and the line of each key.

    Args:
        text: YAML; a key that stands twice, and an alias, are no valid YAML here.
        what: it is, for messages.

    Raises:
        ConfigError: it is no valid YAML.
    """
    try:
        return _yaml_values(text)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        at = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{what}{at} is no valid YAML: {_problem(fault)}.") from None
    except RecursionError:
        raise ConfigError(f"{what} is nested too deeply.") from None


def _yaml_values(text: str) -> tuple[Any, dict[Key, int]]:
    lines: dict[Key, int] = {}
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is not None:
            _note_lines(node, (), lines)
        return yaml.load(text, Loader=_Loader), lines
    except ValueError as fault:  # an escape in quotes that is no character
        raise yaml.YAMLError(str(fault)) from None


def _problem(fault: yaml.YAMLError, otherwise: str = "") -> str:
    """What is wrong, and what to do about it: as the fault says, or ``otherwise``."""
    said = getattr(fault, "problem", None) or getattr(fault, "reason", None) or "it does not parse"
    remedy = getattr(fault, "note", None) or otherwise
    return f"{said}: {remedy}" if remedy else said


def _note_lines(node: yaml.Node, key: Key, lines: dict[Key, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise yaml.composer.ComposerError(
                    None, None, "a key must be a plain text", name.start_mark
                )
            path = (*key, name.value)
            if path in lines:
                raise yaml.composer.ComposerError(
                    None, None, f"the key '{name.value}' stands twice", name.start_mark, "keep one"
                )
            lines[path] = name.start_mark.line + 1
            _note_lines(value, path, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*key, index)] = value.start_mark.line + 1
            _note_lines(value, (*key, index), lines)


def _plain(value: Any) -> Any:
    """A copy in the types that a file would give: Python has tuples, paths and NumPy's numbers."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, PurePath):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


def _override(values: dict[str, Any], override: str) -> Key:
    """Set a value; returns its key."""
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"'{override}' is no override: write key.sub=value.")
    try:
        value = _yaml_values(text)[0]
    except yaml.YAMLError as fault:
        raise ConfigError(
            f"The value in '{override}' is no valid YAML: {_problem(fault, _QUOTES)}."
        ) from None
    except RecursionError:
        raise ConfigError(f"The value in '{override}' is nested too deeply.") from None
    section = values
    for key in keys[:-1]:
        inner = section.get(key)
        if not isinstance(inner, dict):
            # `trainer.name=x` on a null or missing section starts one.
            inner = section[key] = {}
        section = inner
    section[keys[-1]] = value
    return tuple(keys)
