from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import FileError, ModelError
from meddenoise.workflows.info import info


def test_the_noise_is_in_the_scan_s_units_and_of_valid_voxels(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(500, 25, (32, 32, 32)).astype(np.float32)
    array[:4] = np.nan
    told = info(md.write(md.Volume.from_array(array), tmp_path / "a.nii.gz"))
    assert told["noise"]["sigma"] == pytest.approx(25, rel=0.05)
    assert told["finite"] is False
    assert told["shape"] == [32, 32, 32]


def test_a_directory_with_one_scan_is_that_scan(tmp_path: Path) -> None:
    md.write(md.Volume.from_array(np.ones((8, 8, 8))), tmp_path / "in/a.nii.gz")
    assert info(tmp_path / "in")["shape"] == [8, 8, 8]
    md.write(md.Volume.from_array(np.ones((9, 8, 8))), tmp_path / "in/b.nii.gz")
    assert [scan["shape"][0] for scan in info(tmp_path / "in")["scans"]] == [8, 9]


def test_what_cannot_be_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="There is no scan"):
        info(tmp_path)
    (tmp_path / "m.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match=r"m\.safetensors"):
        info(tmp_path / "m.safetensors")
