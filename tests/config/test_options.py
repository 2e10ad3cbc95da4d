from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from meddenoise.config.options import check_options
from meddenoise.errors import ConfigError
from meddenoise.registry import Registry

PARTS: Registry[Any] = Registry("part")


@PARTS.register("mixed")
def mixed(
    count: int = 1,
    share: float = 0.5,
    pair: tuple[int, int] = (1, 2),
    steps: Sequence[int | Sequence[int]] | None = None,
    kind: Literal["slow", "fast"] = "slow",
    place: Path | None = None,
) -> None: ...


def check(**options: Any) -> dict[str, Any]:
    return check_options(PARTS.options("mixed"), options, section="part")


def test_only_what_was_given_comes_back() -> None:
    assert check() == {}
    assert check(count=3, share=1) == {"count": 3, "share": 1.0}


def test_a_list_of_a_file_is_as_good_as_a_tuple() -> None:
    assert check(pair=[3, 4]) == {"pair": (3, 4)}
    assert check(steps=[2, [2, 2, 1]]) == {"steps": [2, [2, 2, 1]]}


def test_an_object_that_no_file_can_hold_is_checked_too() -> None:
    assert check(place=Path("a")) == {"place": Path("a")}
    with pytest.raises(ConfigError, match="count must be"):
        check(place=Path("a"), count="many")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cuont": 1}, r"part\.cuont is no key here \(did you mean 'count'\?\)"),
        ({"co-unt": 1}, r"part\.co-unt is no key here \(did you mean 'count'\?\)"),
        ({"count": "16"}, "count must be a whole number, not '16'"),
        ({"count": True}, "count must be a whole number, not True"),
        ({"count": 1.5}, "count must be a whole number, not 1.5"),
        ({"share": float("nan")}, "share must be a finite number"),
        ({"pair": [1, 2, 3]}, "pair must have at most 2 entries, not 3"),
        ({"steps": 3}, "steps must be a list, not 3"),
        ({"steps": [[2, "a"]]}, r"steps\.0\.1 must be a whole number, not 'a'"),
        ({"kind": "fats"}, "kind must be 'slow' or 'fast', not 'fats' .did you mean 'fast'"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(**options)
