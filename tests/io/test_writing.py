from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from meddenoise import io
from meddenoise.errors import GeometryError, OutputError, ParameterError
from meddenoise.volume import Volume


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    nib.save(
        nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([1, 2, 3, 1])),
        tmp_path / "in.nii",
    )
    return io.read(tmp_path / "in.nii")


def test_the_report_says_what_was_written(volume: Volume, tmp_path: Path) -> None:
    report = io.write_report(volume.with_array(volume.array * 1e4), tmp_path / "out.nii")
    assert (report.path, report.format, report.dtype) == (tmp_path / "out.nii", "nifti", "int16")
    assert (report.voxels, report.clipped) == (24, 20)


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz", "out.nrrd", "out.mha"])
def test_bad_values_leave_no_file_behind(volume: Volume, tmp_path: Path, name: str) -> None:
    broken = volume.with_array(np.full_like(volume.array, np.nan))
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(OutputError, match="NaN"):
        io.write(broken, tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == before


def test_the_input_is_never_written_to(volume: Volume, tmp_path: Path) -> None:
    before = (tmp_path / "in.nii").read_bytes()
    (tmp_path / "link.nii").symlink_to(tmp_path / "in.nii")
    for name in ("in.nii", "link.nii", "../" + tmp_path.name + "/in.nii"):
        with pytest.raises(OutputError, match="is the input"):
            io.write(volume, tmp_path / name, overwrite=True)
    other = Volume.from_array(volume.array, affine=volume.affine)
    with pytest.raises(OutputError, match="is the input"):
        io.write(other, tmp_path / "in.nii", like=volume, overwrite=True)
    assert (tmp_path / "in.nii").read_bytes() == before


def test_what_exists_is_kept_unless_told(volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "out.nii").write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        io.write(volume, tmp_path / "out.nii")
    assert (tmp_path / "out.nii").read_text() == "old"
    assert io.write(volume, tmp_path / "out.nii", overwrite=True) == tmp_path / "out.nii"
    assert (tmp_path / "out.nii").read_bytes() == (tmp_path / "in.nii").read_bytes()


def test_like_lends_its_header(volume: Volume, tmp_path: Path) -> None:
    bare = Volume.from_array(volume.array, affine=volume.affine)
    io.write(bare, tmp_path / "out.nii", like=volume)
    assert (tmp_path / "out.nii").read_bytes() == (tmp_path / "in.nii").read_bytes()
    with pytest.raises(GeometryError, match="shape"):
        io.write(Volume.from_array(np.ones((2, 2, 2))), tmp_path / "no.nii", like=volume)
    with pytest.raises(GeometryError, match="space"):
        io.write(Volume.from_array(volume.array), tmp_path / "no.nii", like=volume)


@pytest.mark.parametrize("name", ["out.gipl", "out.txt", "out.mgz", "out.jpg", "out.mhd", "out"])
def test_formats_that_are_not_written_are_refused(
    volume: Volume, tmp_path: Path, name: str
) -> None:
    with pytest.raises(OutputError):
        io.write(volume, tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["in.nii"]


def test_unknown_types_are_refused(volume: Volume, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="int8"):
        io.write(volume, tmp_path / "out.nii", dtype="int8")


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nrrd", "out.mha"])
@pytest.mark.parametrize("dtype", ["same", "float32"])
def test_dicom_goes_to_every_format_with_its_units(
    make_series: Callable[..., Path], ramp: np.ndarray, tmp_path: Path, name: str, dtype: str
) -> None:
    volume = io.read(make_series(ramp, Modality="CT", RescaleSlope=1, RescaleIntercept=-1024,
                                 BitsStored=12))  # fmt: skip
    report = io.write_report(volume, tmp_path / name, dtype=dtype)
    again = io.read(tmp_path / name)
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_allclose(again.affine, volume.affine, atol=1e-4)
    assert report.dtype == ("float32" if dtype == "float32" else report.dtype)
    assert (dtype == "same") == (np.dtype(report.dtype).kind in "iu")


def test_extensions_that_keep_the_format(
    volume: Volume, make_series: Callable[..., Path], ramp: np.ndarray
) -> None:
    assert io.extension_for(volume) == ".nii"
    assert io.extension_for(io.read(make_series(ramp))) == ""
    assert io.extension_for(Volume.from_array(np.ones((2, 2)))) == ".nii.gz"
