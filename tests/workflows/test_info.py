from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import (
    AmbiguousInput,
    FileError,
    GeometryError,
    ModelError,
    OutputError,
    ParameterError,
)
from meddenoise.noise import estimate
from meddenoise.workflows.info import info


def test_the_noise_is_in_the_scan_s_units_and_of_valid_voxels(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(500, 25, (32, 32, 32)).astype(np.float32)
    array[:4] = np.nan
    told = info(md.write(md.Volume.from_array(array), tmp_path / "a.nii.gz"))
    assert told["noise"]["sigma"] == pytest.approx(25, rel=0.05)
    assert told["finite"] is False
    assert told["shape"] == [32, 32, 32]


def noisy(*shape: int) -> np.ndarray:
    """Noise of standard deviation 10 around 200, twice as strong in the upper half."""
    noise = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    noise[shape[0] // 2 :] *= 2
    return 200 + 10 * noise


def test_the_noise_is_that_of_estimate(tmp_path: Path) -> None:
    volume = md.Volume.from_array(noisy(40, 40, 30), units="HU")
    path = md.write(volume, tmp_path / "a.nrrd")
    told = info(path)["noise"]
    read = md.read(path)
    assert told == {**estimate(read).as_dict(), "units": read.units}
    assert set(told) >= {"sigma", "model", "method", "correlated", "correlation", "advice"}


@pytest.mark.parametrize("name", ["map.nii.gz", "map.nrrd", "map.mha"])
def test_the_map_lies_on_the_scan_s_grid(tmp_path: Path, name: str) -> None:
    turned = np.array([[0.0, -2, 0, 5], [1.5, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]])
    stored = noisy(40, 36, 30).astype(np.int16)
    path = md.write(md.Volume.from_array(stored, affine=turned), tmp_path / "a.nii.gz")
    told = info(path, noise_map=tmp_path / "made" / name)
    assert told["noise"]["map"] == str(tmp_path / "made" / name)
    local = md.read(told["noise"]["map"])
    scan = md.read(path)
    scan.check_same_grid(local)
    assert local.array[0, :10].mean() == pytest.approx(10, rel=0.12)
    assert local.array[0, -10:].mean() == pytest.approx(20, rel=0.12)
    assert len(np.unique(local.array)) > 1000  # no whole numbers, which the scan was stored in
    assert local.array == pytest.approx(estimate(scan, with_map=True).map[None])


def test_the_map_of_a_series_of_volumes_and_of_a_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    series = md.Volume.from_array(rng.normal(500, 20, (8, 30, 30, 20)).astype(np.float32))
    told = info(md.write(series, tmp_path / "dwi.nii.gz"), noise_map=tmp_path / "map.nii.gz")
    assert told["channels"] == 8
    assert md.read(told["noise"]["map"]).array.shape == (1, 30, 30, 20)
    picture = md.Volume.from_array(np.clip(rng.normal(120, 15, (90, 80)), 0, 255).astype(np.uint8))
    told = info(md.write(picture, tmp_path / "a.png"), noise_map=tmp_path / "map.tif")
    local = md.read(told["noise"]["map"]).array
    assert local.shape == (1, 90, 80)
    assert local.mean() == pytest.approx(15, rel=0.1)


def test_what_has_no_map(tmp_path: Path) -> None:
    path = md.write(md.Volume.from_array(noisy(20, 20, 20)), tmp_path / "in/a.nii.gz")
    for name in ("map.png", "map", "map.dcm", "map.jpg"):
        with pytest.raises(OutputError, match=r"Use \.nii\.gz"):
            info(path, noise_map=tmp_path / name)
    with pytest.raises(OutputError, match="input"):
        info(path, noise_map=path, overwrite=True)
    (tmp_path / "map.nii.gz").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        info(path, noise_map=tmp_path / "map.nii.gz")
    assert (tmp_path / "map.nii.gz").read_text() == "mine"
    info(path, noise_map=tmp_path / "map.nii.gz", overwrite=True)
    assert md.read(tmp_path / "map.nii.gz").shape == (20, 20, 20)
    md.write(md.Volume.from_array(np.ones((9, 8, 8))), tmp_path / "in/b.nii.gz")
    with pytest.raises(AmbiguousInput, match="2 scans"):
        info(tmp_path / "in", noise_map=tmp_path / "other.nii.gz")
    with pytest.raises(ParameterError, match="constant"):
        info(tmp_path / "in/b.nii.gz", noise_map=tmp_path / "other.nii.gz")
    small = md.write(md.Volume.from_array(noisy(7, 7, 7)), tmp_path / "small.nii.gz")
    with pytest.raises(ParameterError, match="too little image for a map"):
        info(small, noise_map=tmp_path / "other.nii.gz")
    (tmp_path / "m.safetensors").write_bytes(b"")
    with pytest.raises(ParameterError, match="is a model"):
        info(tmp_path / "m.safetensors", noise_map=tmp_path / "other.nii.gz")
    assert not (tmp_path / "other.nii.gz").exists()


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full((12, 12, 12), 3.0), "constant"),
        (np.full((12, 12, 12), np.nan), "no finite voxel"),
        (np.arange(8.0).reshape(2, 2, 2), "too small"),
        (np.random.default_rng(0).standard_normal((5, 5, 1)), "too little"),
        (np.random.default_rng(0).standard_normal((12, 12, 12)) * 1e30, "too large"),
    ],
)
def test_noise_that_cannot_be_told(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    path = md.write(md.Volume.from_array(array.astype(np.float32)), tmp_path / "a.nii.gz")
    noise = info(path)["noise"]
    assert noise["sigma"] is None
    assert reason in noise["reason"]


def test_a_tilted_series_has_no_map(shared_data: Path, tmp_path: Path) -> None:
    scan = shared_data / "dicom" / "ct_tilt_philips"
    assert info(scan)["noise"]["units"] == "HU"
    with pytest.raises(GeometryError, match="no regular upright grid"):
        info(scan, noise_map=tmp_path / "map.nii.gz")


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


def test_options_that_say_nothing_of_what_is_there(tmp_path: Path) -> None:
    path = md.write(md.Volume.from_array(noisy(20, 20, 20)), tmp_path / "in/a.nii.gz")
    md.write(md.Volume.from_array(noisy(20, 20, 20)), tmp_path / "in/b.nii.gz")
    with pytest.raises(ParameterError, match="--overwrite is for --noise-map"):
        info(path, overwrite=True)
    with pytest.raises(ParameterError, match=r"2 scans, .* --units"):
        info(tmp_path / "in", units="HU")
    for given in ({"series": "5"}, {"units": "HU"}):
        with pytest.raises(ParameterError, match="is a model, and --"):
            info(tmp_path / "model.safetensors", **given)
