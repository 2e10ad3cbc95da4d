from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import AmbiguousInput, OutputError
from meddenoise.workflows.simulate import simulate_file


def test_what_is_written_is_what_is_returned(tmp_path: Path) -> None:
    array = np.full((12, 12, 12), 100, np.float32)
    scan = md.write(md.Volume.from_array(array), tmp_path / "a.nii.gz")
    where, noisy = simulate_file(
        scan, tmp_path / "b.nii.gz", noise="gaussian", parameters={"sigma": 5}, seed=2
    )
    assert where == tmp_path / "b.nii.gz"
    np.testing.assert_array_equal(md.read(where).array, noisy.array)
    expected = md.simulate(md.read(scan), "gaussian", sigma=5, seed=2)
    np.testing.assert_array_equal(noisy.array, expected.array)


def test_one_scan_at_a_time_and_never_in_its_place(tmp_path: Path) -> None:
    for name in "ab":
        md.write(md.Volume.from_array(np.ones((8, 8, 8))), tmp_path / f"{name}.nii.gz")
    with pytest.raises(AmbiguousInput, match=r"a\.nii\.gz, b\.nii\.gz"):
        simulate_file(tmp_path, tmp_path / "out", noise="gaussian", parameters={"sigma": 5})
    scan = tmp_path / "a.nii.gz"
    with pytest.raises(OutputError, match="the input itself"):
        simulate_file(scan, scan, noise="gaussian", parameters={"sigma": 5}, overwrite=True)


def test_what_lies_beside_the_scan_lies_beside_its_copy(tmp_path: Path) -> None:
    scan = md.write(md.Volume.from_array(np.ones((2, 8, 8, 8))), tmp_path / "dwi.nii.gz")
    beside = {".bval": "0 1000", ".bvec": "0 1\n0 0\n0 0", ".json": "{}"}
    for extension, content in beside.items():
        (tmp_path / f"dwi{extension}").write_text(content)
    simulate_file(scan, tmp_path / "noisy.nii", noise="gaussian", parameters={"sigma": 5})
    for extension, content in beside.items():
        assert (tmp_path / f"noisy{extension}").read_text() == content
