from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from meddenoise.evaluation import compare
from meddenoise.evaluation.tissue_classes import TissueBias, Tissues, bias_by_tissue
from meddenoise.evaluation.unreferenced import without_reference
from meddenoise.volume import Volume

HU = {"air": -1000, "fat": -100, "soft tissue": 50, "bone": 800}
SHIFTS = {"air": 2.0, "fat": 7.0, "soft tissue": -3.0, "bone": -20.0}


def nested(values: list[float], *, channels: int = 1) -> np.ndarray:
    """Square shells, from the outside in, 9 voxels thick: ``(C, 80, 80, 14)``."""
    x, y = np.meshgrid(np.arange(80), np.arange(80), indexing="ij")
    depth = np.minimum(np.minimum(x, 79 - x), np.minimum(y, 79 - y)) // 9
    plane = np.array(values)[np.minimum(depth, len(values) - 1)]
    return np.broadcast_to(plane[None, ..., None], (channels, 80, 80, 14)).astype(np.float32)


def volume(array: np.ndarray, **said: Any) -> Volume:
    return Volume(array, np.eye(4), **said)


def by_name(found: Tissues) -> dict[str, TissueBias]:
    return {one.name: one for one in found.biases}


def shifted(truth: np.ndarray, levels: dict[str, float], *, sigma: float) -> np.ndarray:
    shift = sum(SHIFTS[name] * (truth == level) for name, level in levels.items())
    noise = np.random.default_rng(0).normal(0, sigma, truth.shape)
    return (truth + shift + noise).astype(np.float32)


def test_each_tissue_s_own_shift() -> None:
    truth = nested(list(HU.values()))
    image = shifted(truth, HU, sigma=10)
    found = compare(volume(truth, units="HU"), volume(image, units="HU"), tissues=True).tissues
    assert found is not None
    told = by_name(found)
    for name, level in HU.items():
        one = told[name]
        assert one.bias == pytest.approx(SHIFTS[name], abs=0.3)
        assert one.reference == level
        assert one.error == pytest.approx(10, rel=0.05)
        assert 500 <= one.voxels < np.count_nonzero(truth == level)  # borders are left out
    assert (told["lung"].bias, told["lung"].voxels) == (None, 0)
    assert "0 voxels away from its borders: at least 500" in told["lung"].reason
    assert "ranges of HU in the reference's mean" in found.convention


def test_a_blur_at_borders_is_no_bias_of_a_tissue() -> None:
    from scipy.ndimage import uniform_filter

    truth = nested(list(HU.values()))
    image = uniform_filter(truth, (0, 3, 3, 0), mode="nearest")
    told = by_name(bias_by_tissue(volume(truth, units="HU"), truth, image, mask=truth > -1e9))
    for name, level in HU.items():
        assert told[name].bias == pytest.approx(0, abs=0.3)  # of corners
        assert abs((image - truth)[truth == level].mean()) > 5


def test_a_tissue_beyond_the_window_has_no_error() -> None:
    truth = nested(list(HU.values()))
    image = shifted(truth, HU, sigma=5)
    pair = (volume(array, units="HU") for array in (truth, image))
    told = by_name(compare(*pair, tissues=True, window=(40, 400)).tissues)
    for name in ("air", "bone"):
        assert told[name].bias is None
        assert told[name].reason == "it lies outside of the window"
    for name in ("fat", "soft tissue"):
        assert told[name].bias == pytest.approx(SHIFTS[name], abs=0.3)


def test_noise_of_the_reference_does_not_choose() -> None:
    """By single voxels, those of fat that are too dark would be air's, and so on."""
    truth = nested(list(HU.values()))
    draws = np.random.default_rng(1)
    noisy = truth + draws.normal(0, 40, truth.shape).astype(np.float32)
    image = shifted(truth, HU, sigma=5)
    told = by_name(bias_by_tissue(volume(noisy, units="HU"), noisy, image, mask=truth > -1e9))
    for name in ("air", "fat", "soft tissue", "bone"):
        assert told[name].bias == pytest.approx(SHIFTS[name], abs=1.5)


def test_shades_where_nobody_says_hu() -> None:
    levels = dict(zip(("background", "dark", "medium", "bright"), (0, 100, 200, 300), strict=True))
    shifts = dict(zip(levels, SHIFTS.values(), strict=True))
    truth = nested(list(levels.values()), channels=2)
    image = truth + sum(shifts[n] * (truth == v) for n, v in levels.items()).astype(np.float32)
    found = compare(volume(truth), volume(image), tissues=True).tissues
    assert found is not None
    assert {n: one.bias for n, one in by_name(found).items()} == pytest.approx(shifts)
    assert by_name(found)["dark"].low is None
    assert 100 < by_name(found)["dark"].high < 200
    assert "Otsu" in found.convention


def test_mask_and_window_count() -> None:
    truth = nested(list(HU.values()))
    image = shifted(truth, HU, sigma=1)
    inside = np.zeros(truth.shape, bool)
    inside[:, :40] = True
    pair = volume(truth, units="HU"), volume(image, units="HU")
    whole = by_name(compare(*pair, tissues=True).tissues)
    half = by_name(compare(*pair, mask=inside, tissues=True).tissues)
    assert half["fat"].voxels < 0.55 * whole["fat"].voxels
    clipped = by_name(compare(*pair, window=(0, 400), tissues=True).tissues)
    assert (clipped["bone"].voxels, clipped["bone"].bias) == (whole["bone"].voxels, None)
    assert clipped["fat"].bias == pytest.approx(SHIFTS["fat"], abs=0.1)


def test_what_denoising_moved_without_a_reference() -> None:
    truth = nested(list(HU.values()))
    draws = np.random.default_rng(0)
    noisy = truth + draws.normal(0, 20, truth.shape).astype(np.float32)
    image = shifted(truth, HU, sigma=1)
    found = without_reference(volume(image), volume(noisy, units="HU"))
    assert found.tissues is not None
    for name, one in by_name(found.tissues).items():
        if one.bias is not None:
            assert one.bias == pytest.approx(SHIFTS[name], abs=0.6)
    assert "in the result's mean" in found.tissues.convention
    several = [np.concatenate([one, one]) for one in (image, noisy)]
    both = without_reference(*(volume(one, units="HU") for one in several))
    assert both.tissues is None
    assert [v.tissues.biases[2].name for v in both.volumes] == ["fat", "fat"]


def test_json_says_why_there_is_none() -> None:
    truth = np.zeros((1, 30, 30, 14), np.float32)
    truth[:, :15] = 1
    found = compare(volume(truth), volume(truth + 1), tissues=True)
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))["tissues"]
    assert told["biases"] is None
    assert "no 3 intensities" in told["reason"]
    assert compare(volume(truth), volume(truth + 1)).as_dict()["tissues"] is None
    truth = nested(list(HU.values()))
    some = compare(volume(truth, units="HU"), volume(truth, units="HU"), tissues=True)
    told = json.loads(json.dumps(some.as_dict(), allow_nan=False))["tissues"]
    assert [one["name"] for one in told["biases"]] == ["air", "lung", "fat", "soft tissue", "bone"]
    assert (told["biases"][0]["low"], told["biases"][0]["high"]) == (None, -950)
    assert told["units"] == "HU"
    assert replace(some, tissues=None).as_dict()["tissues"] is None
