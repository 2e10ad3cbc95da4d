from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import ParameterError
from meddenoise.io.plane_scan import PlaneScan
from meddenoise.io.planes import open_planes
from meddenoise.workflows.known_level import known_level, level_on_disk


def scan(tmp_path: Path, array: np.ndarray) -> PlaneScan:
    opened = open_planes(md.write(md.Volume.from_array(array), tmp_path / "scan.nii"))
    assert opened is not None
    return opened


@pytest.mark.parametrize(("said", "level"), [(None, None), (5, 5.0), ("5", 5.0), ("0", 0.0)])
def test_a_level_in_the_scan_s_units_needs_no_voxel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | float | None, level: float | None
) -> None:
    opened = scan(tmp_path, np.ones((4, 5, 40), np.float32))
    monkeypatch.setattr(PlaneScan, "middle", lambda *_: pytest.fail("it was read"))
    assert level_on_disk(said, opened) == level


@pytest.mark.parametrize(("said", "level"), [("10%", 10.0), ("SNR 20", 5.0)])
def test_a_relative_one_is_of_the_scan_s_range(tmp_path: Path, said: str, level: float) -> None:
    array = np.full((4, 5, 40), 100.0, np.float32)
    array[0] = -100.0
    assert known_level(said)(md.Volume.from_array(array)) == pytest.approx(level)
    assert level_on_disk(said, scan(tmp_path, array)) == pytest.approx(level)


def test_a_range_is_none() -> None:
    with pytest.raises(ParameterError, match="has one noise level"):
        known_level(["1", "2"])  # type: ignore[arg-type]
