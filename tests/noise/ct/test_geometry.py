from __future__ import annotations

import math

import pytest

from meddenoise.errors import ParameterError
from meddenoise.noise.ct.geometry import Geometry, geometry_for


@pytest.mark.parametrize("beam", ["parallel", "fan"])
def test_the_corners_of_the_slice_are_seen(beam: str) -> None:
    geometry = geometry_for(200, 1.5, beam=beam)
    corner = 200 * 1.5 / math.sqrt(2)
    reach = float(geometry.distances()[-1])
    assert corner < reach < corner + 3
    assert float(geometry.distances()[0]) == pytest.approx(-reach)
    # The diagonal of the pixel grid carries frequencies up to 1 / (sqrt(2) pixel).
    assert 0.5 / geometry.pitch_mm == pytest.approx(1 / (math.sqrt(2) * 1.5))


@pytest.mark.parametrize(("beam", "turn"), [("parallel", math.pi), ("fan", 2 * math.pi)])
def test_views_lie_evenly_in_the_turn(beam: str, turn: float) -> None:
    geometry = geometry_for(64, 1.0, beam=beam, views=8)
    assert geometry.angle(0) == pytest.approx(turn / 16)
    assert geometry.angle(7) == pytest.approx(turn - turn / 16)
    quarter = 8 // geometry.quarter_turns
    assert geometry.angle(quarter) - geometry.angle(0) == pytest.approx(math.pi / 2)


def test_a_coarser_scan_has_the_same_detector() -> None:
    fine = geometry_for(99, 1.0, views=100)
    coarse = fine.coarser(2)
    assert coarse.views == 48
    assert coarse.channels == math.ceil(fine.channels / 2)
    assert coarse.channels * coarse.pitch_mm == pytest.approx(fine.channels * fine.pitch_mm)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beam": "cone"}, "beam is 'cone'.*'parallel' or 'fan'"),
        ({"views": 90}, "views is 90.*multiple of 4"),
        ({"views": 0}, "views is 0.*multiple of 4"),
        ({"views": 4 * 10**20}, "multiple of 4 .* at most 100000"),
        ({"views": 720.0}, "views is 720.0.*whole number"),
        ({"beam": "fan", "source_mm": 150.0}, r"source_mm is 150.*too near.*\(mm\)"),
        ({"beam": "fan", "source_mm": 0.0}, r"source_mm is 0.*above 0.*\(mm\)"),
    ],
)
def test_impossible_parameters(arguments: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        geometry_for(256, 1.0, **arguments)
    with pytest.raises(ParameterError, match="pitch_mm is 0"):
        Geometry("parallel", 4, 10, 0.0)
