from __future__ import annotations

import numpy as np
import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import Level, parse_level, reference_intensity


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (25, Level(25.0, 25.0)),
        ("25.5", Level(25.5, 25.5)),
        ("10%", Level(0.1, 0.1, relative=True)),
        (" 2.5 % ", Level(0.025, 0.025, relative=True)),
        (["2%", "15%"], Level(0.02, 0.15, relative=True)),
        ((5, "7"), Level(5.0, 7.0)),
        (np.float32(2), Level(2.0, 2.0)),
        (Level(1.0, 2.0), Level(1.0, 2.0)),
    ],
)
def test_parse(text: object, level: Level) -> None:
    assert parse_level(text) == level


@pytest.mark.parametrize(
    "text",
    ["", "ten", "-1%", -1, "nan", float("inf"), True, None, [1], [1, 2, 3], [2, 1], ["1", "2%"]],
)
def test_what_is_no_level(text: object) -> None:
    with pytest.raises(ParameterError):
        parse_level(text)


def test_resolve_and_draw() -> None:
    assert parse_level(25).resolve(1000) == 25
    assert parse_level("10%").resolve(1000) == pytest.approx(100)
    span = parse_level(["2%", "12%"])
    assert span.draw(0.0, 100) == pytest.approx(2)
    assert span.draw(0.5, 100) == pytest.approx(7)
    drawn = span.draw(torch.tensor([0.0, 0.5]), torch.tensor([100.0, 200.0]))
    torch.testing.assert_close(drawn, torch.tensor([2.0, 14.0]))


def test_a_range_is_not_one_level() -> None:
    with pytest.raises(ParameterError, match="range"):
        parse_level([1, 2]).resolve(1.0)


@pytest.mark.parametrize("u", [-0.1, 1.0, float("nan")])
def test_a_place_outside_the_range(u: float) -> None:
    with pytest.raises(ParameterError, match="below 1"):
        parse_level([1, 2]).draw(u, 1.0)


@pytest.mark.parametrize("reference", [0.0, -10.0, float("nan"), float("inf")])
def test_a_percentage_of_nothing(reference: float) -> None:
    with pytest.raises(ParameterError, match="in image units instead"):
        parse_level("10%").resolve(reference)


def test_levels_read_as_they_are_written() -> None:
    assert str(parse_level("10%")) == "10%"
    assert str(parse_level([2, 15.5])) == "2 to 15.5"


def test_reference_intensity_ignores_what_is_not_finite() -> None:
    array = np.arange(1001.0)
    assert reference_intensity(array) == pytest.approx(999.0)
    assert reference_intensity(np.append(array, [np.nan, np.inf])) == pytest.approx(999.0)
    with pytest.raises(ParameterError, match="no finite voxel"):
        reference_intensity(np.full(3, np.nan))
