from __future__ import annotations

import numpy as np
import pytest
import torch

from meddenoise.errors import ParameterError
from meddenoise.noise import Level, parse_level, reference_intensity
from meddenoise.noise.level import Range, parse_fraction, parse_number


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (25, Level(25.0, 25.0)),
        ("25.5", Level(25.5, 25.5)),
        ("10%", Level(10.0, 10.0, "%")),
        (" 2.5 % ", Level(2.5, 2.5, "%")),
        (["2%", "15%"], Level(2.0, 15.0, "%")),
        ((5, "7"), Level(5.0, 7.0)),
        (np.float32(2), Level(2.0, 2.0)),
        ("SNR 20", Level(20.0, 20.0, "SNR")),
        ("snr12.5", Level(12.5, 12.5, "SNR")),
        (["SNR 5", "SNR 30"], Level(5.0, 30.0, "SNR")),
        (Level(1.0, 2.0), Level(1.0, 2.0)),
    ],
)
def test_parse(text: object, level: Level) -> None:
    assert parse_level(text) == level


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            "ten",
            "-1%",
            -1,
            "nan",
            float("inf"),
            True,
            None,
            [1],
            [1, 2, 3],
            [2, 1],
            ["1", "2%"],
        ],
        ["1", "2%"],
        *["SNR 0", "SNR", "SNR -3", "SNR 5%", ["SNR 5", "10%"], ["SNR 9", "SNR 3"], "20 SNR"],
    ],
)
def test_what_is_no_level(text: object) -> None:
    with pytest.raises(ParameterError):
        parse_level(text)


def test_levels_in_image_units() -> None:
    assert parse_level(25).draw(0.0, 1000) == 25
    assert parse_level("10%").draw(0.0, 1000) == pytest.approx(100)
    assert parse_level("SNR 20").draw(0.0, 1000) == pytest.approx(50)
    span = parse_level(["2%", "12%"])
    assert span.draw(0.0, 100) == pytest.approx(2)
    assert span.draw(0.5, 100) == pytest.approx(7)
    drawn = span.draw(torch.tensor([0.0, 0.5]), torch.tensor([100.0, 200.0]))
    torch.testing.assert_close(drawn, torch.tensor([2.0, 14.0]))
    assert parse_level(["SNR 10", "SNR 30"]).draw(0.5, 100) == pytest.approx(5)


@pytest.mark.parametrize("u", [-0.1, 1.0, float("nan")])
def test_a_place_outside_the_range(u: float) -> None:
    with pytest.raises(ParameterError, match="below 1"):
        parse_level([1, 2]).draw(u, 1.0)


@pytest.mark.parametrize("reference", [0.0, -10.0, float("nan"), float("inf")])
@pytest.mark.parametrize("text", ["10%", "SNR 5"])
def test_a_level_of_nothing(text: str, reference: float) -> None:
    with pytest.raises(ParameterError, match="in image units instead"):
        parse_level(text).draw(0.0, reference)


def test_levels_read_as_they_are_written() -> None:
    assert str(parse_level("10%")) == "10%"
    assert str(parse_level([2, 15.5])) == "2 to 15.5"
    assert str(parse_level(["snr 2", "SNR 4"])) == "SNR 2 to SNR 4"


def test_fractions() -> None:
    assert parse_fraction("25%") == 0.25
    assert parse_fraction(1) == 1.0
    assert parse_fraction([0.1, "50%"]) == Range(0.1, 0.5)
    for wrong in (0, 1.2, "120%", [0, 0.5], "half", True, None, "SNR 2"):
        with pytest.raises(ParameterError, match="above 0 and at most 1"):
            parse_fraction(wrong)


def test_numbers() -> None:
    assert parse_number(-3) == -3.0
    assert parse_number([-1, 2]) == Range(-1.0, 2.0)
    assert Range(-1.0, 2.0).at(0.5) == 0.5
    for wrong in ("3", "10%", True, None, float("nan"), [1, float("inf")]):
        with pytest.raises(ParameterError, match="no finite number"):
            parse_number(wrong)
    with pytest.raises(ParameterError, match="runs downwards"):
        parse_number([2, 1])
    with pytest.raises(ParameterError, match=r"\[low, high\]"):
        parse_number([1, 2, 3])


def test_reference_intensity_ignores_what_is_not_finite() -> None:
    array = np.arange(1001.0)
    assert reference_intensity(array) == pytest.approx(999.0)
    assert reference_intensity(np.append(array, [np.nan, np.inf])) == pytest.approx(999.0)
    with pytest.raises(ParameterError, match="no finite voxel"):
        reference_intensity(np.full(3, np.nan))


def test_a_number_of_hundreds_of_digits() -> None:
    for parse in (parse_level, parse_fraction, parse_number):
        with pytest.raises(ParameterError, match="is no "):
            parse(10**400)
