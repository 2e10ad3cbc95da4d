from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from meddenoise.errors import ConfigError
from meddenoise.registry import Registry, nearest


@pytest.fixture
def parts() -> Registry[Any]:
    parts: Registry[Any] = Registry("part", skip=("dims",))

    @parts.register("wheel")
    class Wheel:
        def __init__(self, dims: int, spokes: int = 8, sizes: Sequence[int] = (1, 2)) -> None: ...

    @parts.register("axle")
    def axle(length: float, *, dims: int = 3, **rest: Any) -> None: ...

    return parts


def test_names_are_sorted_and_get_gives_the_part(parts: Registry[Any]) -> None:
    assert parts.names() == ("axle", "wheel")
    assert parts.get("wheel").__name__ == "Wheel"


def test_an_unknown_name_is_answered_with_the_nearest(parts: Registry[Any]) -> None:
    with pytest.raises(
        ConfigError, match=r"no part 'weel' \(did you mean 'wheel'\?\).*axle, wheel"
    ):
        parts.get("weel")


def test_a_name_that_is_like_none_gets_no_hint() -> None:
    assert nearest("zzzz", ["wheel", "axle"]) == ""


def test_options_are_the_keyword_parameters_without_the_skipped(parts: Registry[Any]) -> None:
    assert set(parts.options("wheel").model_fields) == {"spokes", "sizes"}
    assert set(parts.options("axle").model_fields) == {"length"}


def test_options_have_the_defaults_of_the_signature(parts: Registry[Any]) -> None:
    assert parts.options("wheel").model_validate({}).model_dump() == {"spokes": 8, "sizes": (1, 2)}
    with pytest.raises(ValidationError):
        parts.options("axle").model_validate({})  # length has none


@pytest.mark.parametrize("given", [{"spoke": 3}, {"spokes": "many"}, {"dims": 2}])
def test_options_are_strict(parts: Registry[Any], given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parts.options("wheel").model_validate(given)


def test_a_taken_name_is_refused(parts: Registry[Any]) -> None:
    with pytest.raises(ConfigError, match="called 'wheel' already"):

        @parts.register("wheel")
        class Tyre: ...


def test_the_same_definition_may_be_run_again() -> None:
    parts: Registry[Any] = Registry("part")
    for _ in range(2):  # as a notebook's cell is

        @parts.register("wheel")
        class Wheel: ...

    assert parts.get("wheel") is Wheel


def test_a_namesake_from_another_module_is_refused() -> None:
    parts: Registry[Any] = Registry("part")
    one = type("Wheel", (), {"__module__": "one", "__qualname__": "Wheel"})
    two = type("Wheel", (), {"__module__": "two", "__qualname__": "Wheel"})
    parts.register("wheel")(one)
    with pytest.raises(ConfigError, match="already"):
        parts.register("wheel")(two)
    assert parts.get("wheel") is one


def test_an_annotation_that_names_nothing_is_said() -> None:
    parts: Registry[Any] = Registry("part")

    @parts.register("wheel")
    def wheel(rim: Nowhere = 3) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigError, match=r"'wheel'.*Nowhere.*import"):
        parts.options("wheel")


def test_an_option_may_begin_with_model() -> None:
    parts: Registry[Any] = Registry("part")

    @parts.register("wheel")
    def wheel(model_size: int = 3) -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(parts.options("wheel").model_fields) == {"model_size"}
