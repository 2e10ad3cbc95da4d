from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from meddenoise.config.space import Choice, Span, load_space
from meddenoise.errors import ConfigError


def test_a_file_of_lists_and_spans(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "a.b: [[1, 2], null]\nc: {low: 1e-4, high: 1.0e-2, log: true}\n"
        "d: {low: 2, high: 8, step: 3}\n"
    )
    space = load_space(file)
    assert space == {
        "a.b": Choice(([1, 2], None)),
        "c": Span(1e-4, 1e-2, True),
        "d": Span(2, 8, False, 3),
    }
    assert [space["a.b"].value(stored) for stored in space["a.b"].grid("a.b")] == [[1, 2], None]
    assert space["d"].grid("d") == [2, 5, 8]
    assert load_space({"e": {"low": 0.1, "high": 0.3, "step": 0.2}})["e"].grid(
        "e"
    ) == pytest.approx([0.1, 0.3])
    assert load_space({key: axis.describe() for key, axis in space.items()}) == space


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({}, "not empty"),
        ({"a": [1]}, "two or more"),
        ({"a": [1, 1]}, "two or more"),
        ({"a": 3}, "neither a list"),
        ({"a": [date(2024, 1, 1), 1]}, "a: a value is .*quotes"),
        ({"a": [float("nan"), 1.0]}, "a: a value is a finite number"),
        ({"a": {"low": 1}}, "high must be a number"),
        ({"a": {"low": 2, "high": 1}}, "below high"),
        ({"a": {"low": 0, "high": 1, "log": True}}, "low above 0"),
        ({"a": {"low": 0, "high": 1, "lgo": True}}, "no key 'lgo'.*log"),
        ({"a": {"low": 0, "high": 4, "step": 0.5}}, "whole step"),
        ({"a": {"low": 0.0, "high": 4.0, "step": 0}}, "above 0"),
        ({"a": {"low": 1, "high": 4, "step": 5}}, "at most high - low"),
    ],
)
def test_what_is_no_space(what: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_space(what)


def test_a_file_is_read_as_a_configuration_is(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("training.learning_rate: [1e-3, 1e-4]\n")
    assert load_space(file) == {"training.learning_rate": Choice((1e-3, 1e-4))}
    file.write_text("a: [1, 2]\na: [3, 4]\n")
    with pytest.raises(ConfigError, match="line 2 is no valid YAML: the key 'a' stands twice"):
        load_space(file)


def test_a_grid_needs_an_end() -> None:
    with pytest.raises(ConfigError, match="values of a"):
        Span(0.0, 1.0).grid("a")
