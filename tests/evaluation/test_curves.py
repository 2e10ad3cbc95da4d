from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.special import erf, erfc

from meddenoise.errors import ParameterError
from meddenoise.evaluation.curves import INSERT, KEPT, NOISE_POWER, TRANSFER, curves_of
from meddenoise.evaluation.region_transfer import region_transfer

SPACING = (0.7, 0.7, 2.0)
SHAPE = (120, 120, 6)


def falls_to(level: float, sigma: float) -> float:
    """Where ``exp(-2 pi^2 sigma^2 f^2)`` is ``level``."""
    return math.sqrt(-math.log(level) / 2) / (math.pi * sigma)


def phantom(sigma: float) -> np.ndarray:
    """A rod of radius 14 mm and a slanted edge, blurred by a Gaussian of ``sigma`` mm."""
    x, y = np.meshgrid(np.arange(SHAPE[0]) * 0.7, np.arange(SHAPE[1]) * 0.7, indexing="ij")
    rod = 30 * erfc((np.hypot(x - 24.8, y - 25.2) - 14) / (math.sqrt(2) * sigma))
    edge = 40 * erf((x - 66 - 0.1 * (y - 50)) / math.hypot(1, 0.1) / (math.sqrt(2) * sigma))
    return np.repeat((rod + edge)[..., None], SHAPE[2], axis=2)


def labels() -> np.ndarray:
    """1 is the rod, 2 a box with the edge, 3 uniform and of no simple shape."""
    x, y = np.meshgrid(np.arange(SHAPE[0]) * 0.7, np.arange(SHAPE[1]) * 0.7, indexing="ij")
    flat = np.where(np.hypot(x - 24.8, y - 25.2) <= 14, 1, 0)
    flat[80:110, 30:60] = 2
    flat[10:70, 80:115] = 3
    flat[10:40, 80:96] = 0
    return np.repeat(flat[..., None], SHAPE[2], axis=2)


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str, int | None], object]:
    draws = np.random.default_rng(0)
    images = {
        "reference": phantom(0.8),
        "noisy": phantom(0.8) + draws.normal(0, 6, SHAPE),
        "image": phantom(1.2) + draws.normal(0, 1, SHAPE),
    }
    told = curves_of(
        images,
        {"noisy - reference": images["noisy"] - images["reference"]},
        guide="reference",
        spacing=SPACING,
        mask=np.ones(SHAPE, dtype=bool),
        labels=labels(),
        units="HU",
    )
    return {(one.name, one.of, one.region): one for one in told}


def test_noise_power_is_flat_in_squared_units_over_frequency_in_mm(found: dict) -> None:
    curve = found[NOISE_POWER, "noisy - reference", None]
    assert curve.unit == "HU^2 mm^2"
    assert curve.frequencies[-1] == pytest.approx(0.5 / 0.7, rel=0.05)
    assert np.array(curve.values[3:]) == pytest.approx(36 * 0.49, rel=0.1)
    assert curve.numbers["sigma"].value == pytest.approx(6, rel=0.05)


def test_inserts_have_the_blur_that_was_put_in(found: dict) -> None:
    for region, rel in ((1, 0.04), (2, 0.04)):
        for of, sigma in (("reference", 0.8), ("noisy", 0.8), ("image", 1.2)):
            curve = found[INSERT, of, region]
            assert curve.numbers["f50"].value == pytest.approx(falls_to(0.5, sigma), rel=rel)
            assert curve.values[0] == pytest.approx(1)
    assert found[INSERT, "image", 1].numbers["contrast"].unit == "HU"
    assert "mean of 6 slices, rim of a disc of radius 14" in found[INSERT, "image", 1].convention
    assert "straight edge" in found[INSERT, "image", 2].convention
    none = found[INSERT, "image", 3]
    assert none.as_dict()["values"] is None
    assert "neither a disc" in none.as_dict()["reason"]


def test_noise_within_a_uniform_region(found: dict) -> None:
    assert found[NOISE_POWER, "noisy", 3].numbers["sigma"].value == pytest.approx(6, rel=0.05)
    assert "no noise within the mask" in found[NOISE_POWER, "reference", 3].reason


def test_what_is_kept_of_edges_is_the_second_blur_alone(found: dict) -> None:
    kept = found[KEPT, "image / reference", None]
    assert kept.values[0] == pytest.approx(1, abs=0.02)
    second = math.sqrt(1.2**2 - 0.8**2)
    assert kept.numbers["f50"].value == pytest.approx(falls_to(0.5, second), rel=0.02)
    same = found[KEPT, "noisy / reference", None]
    low = np.array(same.frequencies) < 0.25
    assert np.array(same.values)[low] == pytest.approx(1, abs=0.05)
    assert same.numbers["f50"].value is None
    assert "does not fall" in same.numbers["f50"].reason
    assert max(found[TRANSFER, "image", None].frequencies) <= 0.5 / 0.7


def test_curves_are_strict_json(found: dict) -> None:
    told = json.loads(json.dumps([one.as_dict() for one in found.values()], allow_nan=False))
    assert {"frequencies_per_mm", "values", "unit", "numbers", "convention"} <= set(told[0])


def test_without_edges_or_noise_there_is_a_reason() -> None:
    flat = np.full((40, 40), 5.0)
    told = curves_of(
        {"reference": flat, "image": flat}, {"image - reference": flat - flat},
        guide="reference", spacing=(1, 1), mask=np.ones(flat.shape, dtype=bool),
    )  # fmt: skip
    assert [one.name for one in told] == [NOISE_POWER, TRANSFER, TRANSFER, KEPT]
    assert all(one.reason and not one.values for one in told)


def test_a_ball_and_what_is_too_small() -> None:
    axes = [(np.arange(40) - 19.6) * 0.9] * 3
    away = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij"))) - 12
    image = 50 * erfc(away / (math.sqrt(2) * 1.1))
    found, about = region_transfer({"image": image}, away <= 0, spacing=(0.9, 0.9, 0.9))
    assert "rim of a ball" in about
    assert found["image"].f50 == pytest.approx(falls_to(0.5, 1.1), rel=0.03)
    one = np.zeros(image.shape, dtype=bool)
    with pytest.raises(ParameterError, match="region is empty"):
        region_transfer({"image": image}, one)
    one[20, 20, 20] = True
    with pytest.raises(ParameterError):
        region_transfer({"image": image}, one)


def test_lines_have_no_step_but_what_is_kept_of_them_can_be_told() -> None:
    x = np.arange(160.0)
    lines = [100 * np.exp(-(((x - 0.1 * y) % 40 - 20) ** 2) / (2 * s**2)) / s
             for s in (1.2, 1.8) for y in range(60)]  # fmt: skip
    one, other = np.array(lines).reshape(2, 60, 160)
    told = curves_of(
        {"reference": one, "image": other}, {}, guide="reference", spacing=(1, 1),
        mask=np.ones(one.shape, dtype=bool),
    )  # fmt: skip
    kept = told[-1]
    assert (kept.name, kept.reason) == (KEPT, "")
    f, share = np.array(kept.frequencies), np.array(kept.values)
    assert len(f) > 5
    near = np.abs(f - 0.15) < 0.03
    expected = np.exp(-2 * np.pi**2 * (1.8**2 - 1.2**2) * f**2)
    assert share[near] == pytest.approx(expected[near], rel=0.15)
