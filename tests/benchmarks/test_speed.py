from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def load(name: str) -> Any:
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    return load


def test_the_series_is_one_that_is_read(script: Any, tmp_path: Path) -> None:
    volume = md.read(script("speed").series(tmp_path / "ct", 4))
    assert volume.shape == (256, 256, 4)
    assert volume.units == "HU"


def test_both_sides_denoise_the_same_volume(script: Any) -> None:
    speed = script("speed")
    one, other = speed.scan((8, 9, 10)), speed.scan((8, 9, 10))
    assert np.array_equal(one, other)
    assert one.dtype == np.float32


def test_the_ceiling_is_below_what_the_network_takes(script: Any) -> None:
    found = script("speed").measure_ceiling("light", [32, 32, 32], "cpu", 2)
    assert 0 < found["least"] < 1.5 * found["cpu"]
    assert found["through"] > 0


def test_the_cube_is_one_that_is_read(script: Any, tmp_path: Path) -> None:
    script("scale").write_scan(tmp_path / "cube.nii", 16)
    volume = md.read(tmp_path / "cube.nii")
    assert volume.shape == (16, 16, 16)
    assert np.isfinite(volume.array).all()


def test_careamics_gets_the_tile_with_the_least_work(script: Any) -> None:
    module = script("speed_careamics")
    assert module.best_tile((64, 96, 96), 64 * 96 * 96, 16) == (64, 96, 96)
    tile = module.best_tile((64, 96, 96), 0.65 * 64 * 96 * 96, 16)
    # Two tiles along Z cost less than four in a plane, where they are square.
    assert tile == (40, 96, 96)
    assert module.work_of((64, 96, 96), tile, 16) == 2 * 40 * 96 * 96
    assert module.work_of((64, 96, 96), (64, 56, 56), 16) == 4 * 64 * 56 * 56
