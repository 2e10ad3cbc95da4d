"""Turns a failed check into one sentence: which key, what is wrong, on which line."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from meddenoise.registry import nearest

__all__ = ["explain", "place"]

Key = tuple[str | int, ...]

# pydantic speaks of inputs and instances: say it in the words of a file.
_PLAIN = {
    "missing": "is missing",
    "invalid_key": "is a key that is no text: put it in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "sequence_str": "must be a list",
    "dict_type": "must be a section with keys of its own",
    "model_type": "must be a section with keys of its own",
    "finite_number": "must be a finite number",
}


def place(key: Key, lines: Mapping[Key, int], file: str = "") -> str:
    """``"configs/a.yaml, line 3: data.patch"``, as far as known.

    Line 0 is no line of the file: the key was given by ``--set``. Where a part of it was, both are
    named if the file has the key as well.
    """
    at = next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), None)
    name = ".".join(str(part) for part in key) or "the configuration"
    if at == 0:
        return f"--set: {name}"
    partly = bool(key) and any(line == 0 and k[: len(key)] == key for k, line in lines.items())
    if partly and key not in lines and any(lines.values()):
        return f"--set: {name}"  # the file has no such key, whatever it has above it
    parts = [*([file] if file else []), *([f"line {at}"] if at else [])]
    where = ", ".join([*parts, *(["and --set"] if partly and parts else [])])
    return f"{where}: {name}" if where else name


def explain(
    error: ValidationError,
    model: type[BaseModel],
    *,
    lines: Mapping[Key, int] | None = None,
    file: str = "",
    prefix: Key = (),
) -> str:
    """All faults of a validation, a sentence each.

    Args:
        error: what pydantic found.
        model: what was checked against, for the nearest valid key.
        lines: the line of each key in the file.
        file: its name.
        prefix: where in the file ``model`` stands, such as ``("network",)``.
    """
    said: dict[Key, list[str]] = {}
    for fault in error.errors():
        path = _keys(model, fault["loc"])
        said.setdefault(path, []).append(_fault(fault, model, path))
    # Of a union (a text or a list of texts) each branch has its complaint: the deepest counts.
    deepest = [
        path for path in said if not any(other[: len(path)] == path != other for other in said)
    ]
    return (
        "; ".join(
            f"{place((*prefix, *path), lines or {}, file)} {_joined(said[path])}"
            for path in deepest
        )
        + "."
    )


def _fault(fault: Mapping[str, Any], model: type[BaseModel], path: Key) -> str:
    kind = fault["type"]
    if kind == "extra_forbidden":
        valid = _fields(model, path[:-1])
        hint = nearest(str(path[-1]), valid)
        return f"is no key here{hint}; there are: {', '.join(valid)}"
    given = fault.get("input")
    shown = f", not {given!r}"
    if kind in ("missing", "invalid_key") or isinstance(given, dict):
        shown = ""
    if kind in _PLAIN:
        return _PLAIN[kind] + shown
    if kind == "is_instance_of" and fault["ctx"]["class"] == "Sequence":
        return "must be a list" + shown
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if kind == "value_error":
        return f"is impossible: {message.rstrip('.')}"
    if kind == "literal_error":
        choices = [word.strip("',") for word in fault["ctx"]["expected"].split()]
        return f"must be {message}{shown}{nearest(str(given), choices)}"
    if kind in ("too_short", "too_long"):
        bound = fault["ctx"].get("min_length", fault["ctx"].get("max_length"))
        least = "at least" if kind == "too_short" else "at most"
        return f"must have {least} {bound} entries, not {fault['ctx']['actual_length']}"
    return f"must be {message}{shown}"


def _joined(faults: list[str]) -> str:
    """``must be a text, not 3`` and ``must be a list, not 3`` in one clause."""
    heads = dict.fromkeys(fault.partition(", not ")[0] for fault in faults)
    if len(heads) < 2 or not all(head.startswith("must be ") for head in heads):
        return faults[0]
    _, comma, given = faults[0].partition(", not ")
    return (
        " or ".join([*heads][:1] + [h.removeprefix("must be ") for h in [*heads][1:]])
        + comma
        + given
    )


def _keys(model: type[BaseModel], loc: Sequence[str | int]) -> Key:
    """The keys in pydantic's path, without the branches of unions that it puts between them."""
    keys: list[str | int] = []
    here: type[BaseModel] | None = model
    for part in loc:
        if isinstance(part, int):
            keys.append(part)
        elif here is not None:
            keys.append(part)
            field = here.model_fields.get(part)
            here = _model_in(field.annotation) if field else None
    return tuple(keys)


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The valid keys of the section that a path leads to."""
    for part in path:
        if isinstance(part, int):
            continue  # of a list, whose entries are of the model that its key leads to
        field = model.model_fields.get(part)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        for branch in typing.get_args(annotation):
            if found := _model_in(branch):
                return found
    return None
