from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from meddenoise import io
from meddenoise.errors import GeometryError, OutputError, ParameterError
from meddenoise.io.write_check import check_write
from meddenoise.volume import Volume


def test_a_series_is_checked_before_its_voxels_are_there(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    tilted = make_series(ramp, per_slice=lambda n: {"ImagePositionPatient": [0, 2.0 * n, 5.0 * n]})
    volume = io.read(tilted)
    with pytest.raises(GeometryError, match=r"gantry tilt.*--allow-irregular"):
        check_write(volume, tmp_path / "out.nii.gz")
    assert check_write(volume, tmp_path / "out.nii.gz", allow_irregular=True)[0] == "nifti"
    with pytest.raises(OutputError, match="3 files, which go into a directory"):
        check_write(volume, tmp_path / "out.dcm")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"holds thesis\.txt"):
        check_write(volume, tmp_path / "mine")
    with pytest.raises(OutputError, match="write to another place"):
        check_write(volume, tilted)
    assert check_write(volume, tmp_path / "out") == ("dicom", volume.source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "series"]


def test_a_derivation_that_is_not_known(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path
) -> None:
    volume = io.read(make_series(ramp))
    for name in ("out", "out.nii"):
        with pytest.raises(ParameterError, match=r"one of noise reduction, .* not 'magic'"):
            io.write(volume, tmp_path / name, derivation="magic")  # type: ignore[arg-type]


def test_a_directory_that_is_no_store_is_not_replaced_by_one(tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="zarr (of the extra 'zarr') is not installed")
    volume, target = Volume.from_array(np.zeros((4, 5, 6))), tmp_path / "mine.zarr"
    target.mkdir()
    io.write(volume, target)
    io.write(volume, target, overwrite=True)
    shutil.rmtree(target)
    target.mkdir()
    (target / "thesis.txt").write_text("precious")
    said = r"mine\.zarr is a directory that holds something else"
    with pytest.raises(OutputError, match=said):
        check_write(volume, target)
    with pytest.raises(OutputError, match=said):
        io.write(volume, target, overwrite=True)
    assert (target / "thesis.txt").read_text() == "precious"
