from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import DamagedScan, OutputError
from meddenoise.io import plane_scan as module
from meddenoise.io import write_report
from meddenoise.io.plane_scan import PlaneScan
from meddenoise.io.planes import open_planes


def opened(path: Path) -> PlaneScan:
    scan = open_planes(path)
    assert scan is not None
    return scan


def written(tmp_path: Path, name: str, array: np.ndarray) -> Path:
    """A scan in that format, uncompressed but for .gz."""
    import SimpleITK as sitk

    path = tmp_path / name
    volume = md.Volume.from_array(array, spacing=(1, 2, 3))
    if name.startswith("scan.nii"):
        return md.write(volume, path)
    if name.startswith("packed"):
        return packed(path, array, name.removeprefix("packed-").removesuffix(".nrrd"))
    image = sitk.GetImageFromArray(array.transpose())
    image.SetSpacing((1, 2, 3))
    sitk.WriteImage(image, str(path), useCompression=False)
    return path


def packed(path: Path, array: np.ndarray, encoding: str) -> Path:
    """NRRD in that encoding."""
    import nrrd

    nrrd.write(
        str(path), array, {"encoding": encoding, "space": "left-posterior-superior",
                           "space directions": np.diag([1.0, 2.0, 3.0]), "space origin": [0, 0, 0]},
        compression_level=1,
    )  # fmt: skip
    return path


@pytest.mark.parametrize(
    "name",
    ["scan.nii", "scan.nii.gz", "scan.nrrd", "packed-gzip.nrrd", "packed-bzip2.nrrd", "scan.mha"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.float64])
def test_planes_are_those_of_the_whole(
    tmp_path: Path, name: str, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PART", 7 * 8 * 2)
    array = np.random.default_rng(0).normal(100, 30, (7, 8, 9)).astype(dtype)
    path = written(tmp_path, name, array)
    whole, scan = md.read(path), opened(path)
    parts = [*scan.planes()]
    assert [part.shape[2] for part in parts] == [2, 2, 2, 2, 1]
    assert np.array_equal(np.concatenate(parts, axis=2), whole.array[0])
    assert parts[0].dtype == whole.array.dtype == scan.head.array.dtype
    assert np.array_equal(scan.head.affine, whole.affine)
    assert scan.head.array.shape == whole.array.shape
    some = np.concatenate([*scan.planes(0, 3, 6)], axis=2)
    assert np.array_equal(some, whole.array[0][..., 3:6])


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_channels_follow_each_other(tmp_path: Path, name: str) -> None:
    array = np.random.default_rng(0).normal(100, 30, (3, 7, 8, 9)).astype(np.float32)
    scan = opened(md.write(md.Volume.from_array(array), tmp_path / name))
    for channel in (2, 0, 1):
        assert np.array_equal(np.concatenate([*scan.planes(channel)], axis=2), array[channel])


def test_the_middle_is_a_scan_of_its_own(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(100, 30, (2, 7, 8, 40)).astype(np.float32)
    scan = opened(md.write(md.Volume.from_array(array), tmp_path / "scan.nii"))
    assert np.array_equal(scan.middle(1).array, array[..., 12:28])
    assert np.array_equal(scan.middle(10**6).array, array)


@pytest.mark.parametrize(
    "source", ["scan.nii", "scan.nii.gz", "scan.nrrd", "packed-gzip.nrrd", "scan.mha"]
)
@pytest.mark.parametrize("target", ["out.nii", "out.nii.gz", "out.nrrd", "out.mha"])
def test_writing_planes_writes_what_the_whole_would(
    tmp_path: Path, source: str, target: str
) -> None:
    array = np.random.default_rng(0).normal(100, 30, (7, 8, 9)).astype(np.int16)
    scan = opened(written(tmp_path, source, array))
    report = write_report(scan.head, tmp_path / target, planes=scan.planes())
    assert (report.voxels, report.clipped) == (7 * 8 * 9, 0)
    whole = md.read(scan.path)
    back = md.read(tmp_path / target)
    assert np.array_equal(back.array, whole.array)
    assert np.allclose(back.affine, whole.affine)
    if source.split(".", 1)[1] == target.split(".", 1)[1]:
        md.write(whole, tmp_path / f"again-{target}")
        assert (tmp_path / target).read_bytes() == (tmp_path / f"again-{target}").read_bytes()


def test_clipped_voxels_are_counted(tmp_path: Path) -> None:
    scan = opened(written(tmp_path, "scan.mha", np.zeros((4, 4, 4), np.int16)))
    planes = [np.full((4, 4, 4), 1e6, np.float32)]
    assert write_report(scan.head, tmp_path / "out.mha", planes=planes).clipped == 64


@pytest.mark.parametrize("name", ["scan.nii", "scan.nrrd", "scan.mha"])
def test_a_file_that_is_too_short_is_refused_at_once(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, np.ones((7, 8, 9), np.float32))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DamagedScan, match="truncated"):
        open_planes(path)


@pytest.mark.parametrize("name", ["packed-gzip.nrrd", "packed-bzip2.nrrd"])
def test_packed_voxels_that_end_too_early_are_found_when_they_are_read(
    tmp_path: Path, name: str
) -> None:
    rng = np.random.default_rng(0)
    path = written(tmp_path, name, rng.normal(size=(27, 28, 9)).astype(np.float32))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(DamagedScan, match="truncated"):
        list(opened(path).planes())


def test_what_must_be_read_as_a_whole_is_left_alone(tmp_path: Path) -> None:
    array = np.ones((7, 8, 9), np.float32)
    assert open_planes(md.write(md.Volume.from_array(array), tmp_path / "packed.mha")) is None
    assert open_planes(md.write(md.Volume.from_array(array[..., 0]), tmp_path / "x.tif")) is None
    assert open_planes(tmp_path) is None


def test_planes_go_to_no_raster(tmp_path: Path) -> None:
    scan = opened(written(tmp_path, "scan.nii", np.zeros((4, 4, 1), np.int16)))
    with pytest.raises(OutputError, match="plane by plane is written to"):
        write_report(scan.head, tmp_path / "out.tif", planes=scan.planes())
    assert not (tmp_path / "out.tif").exists()
