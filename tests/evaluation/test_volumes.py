from __future__ import annotations

import json
import math

from meddenoise.evaluation.measured import Measured, undefined
from meddenoise.evaluation.volumes import VolumeScores, by_kind, mean_of, over_volumes


def scores(number: int, psnr: float, ssim: float = 0.9) -> VolumeScores:
    return VolumeScores(number, psnr, ssim, 4.0 * number, 2.0, -1.0, 10)


def test_means_weigh_every_volume_alike() -> None:
    found = over_volumes([scores(1, 30), scores(2, 40)])
    assert found["psnr"].value == 35
    assert found["rmse"].value == 6
    assert found["psnr"].convention == "mean of 2 volumes"


def test_a_volume_without_a_number_is_left_out_and_named() -> None:
    each = [scores(1, 30), scores(3, math.inf, math.nan)]
    found = over_volumes(each)
    assert (found["psnr"].value, found["ssim"].value) == (30, 0.9)
    assert "mean of 1 of 2 volumes: volume 3 has none (infinite" in found["psnr"].convention
    told = json.loads(json.dumps(each[1].as_dict(), allow_nan=False))
    assert (told["psnr"], told["ssim"], told["volume"]) == (None, None, 3)
    assert set(told["notes"]) == {"psnr", "ssim"}
    none = over_volumes(each[1:])["psnr"]
    assert none.value is None
    assert "infinite" in none.reason


def test_means_of_named_metrics() -> None:
    parts = [{"a": Measured(1.0, "mm", "how")}, {"a": undefined("too small")}, {"a": Measured(3.0)}]
    found = mean_of(parts, kind="channels")["a"]
    assert (found.value, found.unit) == (2, "mm")
    assert found.convention == "how; mean of 2 of 3 channels: channel 2 has none (too small)"
    assert mean_of(parts[1:2])["a"].reason == "too small"
    assert mean_of([parts[1], parts[1]])["a"].value is None


def test_what_stands_out_is_told_once_a_kind() -> None:
    found = [(n, {"wider": f"Edges are {n} % wider."} if n > 1 else {}) for n in range(1, 13)]
    (said,) = by_kind(found)
    assert said.startswith("11 of 12 volumes (2, 3, 4, 5, 6, 7, 8, 9 and 3 more); of volume 2: ")
    assert by_kind([(1, {}), (2, {})]) == ()
