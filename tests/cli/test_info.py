from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet


def test_a_scan(cli: Any, scan: Path) -> None:
    said = cli("info", scan)
    assert (said.status, said.err) == (0, "")
    for line in ("format: nifti", "shape: 16, 20, 12", "spacing: 1, 1, 2 mm", "orientation: RAS",
                 "finite: yes", "  method: wavelet MAD in tissue", "  correlated: no"):  # fmt: skip
        assert line in said.out.splitlines()
    told = json.loads(cli("info", scan, "--json").out)
    assert told["noise"]["sigma"] == pytest.approx(10, rel=0.1)
    assert told["path"] == str(scan)
    assert told["affine"][2][2] == 2


def test_the_noise_in_words_and_in_json(cli: Any, scan: Path, make_scan: Any) -> None:
    advice = "The noise is independent from voxel to voxel: Noise2Void may be used."
    words = cli("info", scan).out.splitlines()
    assert f"  advice: {advice}" in words
    assert "  model: gaussian" in words
    told = json.loads(cli("info", scan, "--json").out)["noise"]
    assert (told["advice"], told["correlated"], told["model"]) == (advice, False, "gaussian")
    assert "map" not in told
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((40, 41, 30))
    alike = make_scan("alike.nii.gz", 500 + 20 * (noise[:, 1:] + noise[:, :-1]))
    told = json.loads(cli("info", alike, "--json").out)["noise"]
    assert told["correlated"] is True
    assert "correlated along y" in told["advice"]
    assert told["sigma"] == pytest.approx(20 * 2**0.5, rel=0.1)


def test_the_noise_map(cli: Any, scan: Path, tmp_path: Path) -> None:
    said = cli("info", scan, "--noise-map", tmp_path / "map.nii.gz", "--json")
    assert (said.status, said.err) == (0, "")
    assert json.loads(said.out)["noise"]["map"] == str(tmp_path / "map.nii.gz")
    local, whole = nib.load(tmp_path / "map.nii.gz"), nib.load(scan)
    assert local.shape == whole.shape
    assert local.affine == pytest.approx(whole.affine)
    assert float(local.get_fdata().mean()) == pytest.approx(10, rel=0.2)
    again = cli("info", scan, "--noise-map", tmp_path / "map.nii.gz")
    assert again.status == 2
    assert "--overwrite" in again.sentence
    assert cli("info", scan, "--noise-map", tmp_path / "map.nii.gz", "--overwrite").status == 0
    wrong = cli("info", scan, "--noise-map", tmp_path / "map.png")
    assert wrong.status == 2
    assert "map.png" in wrong.sentence


def test_a_dicom_series_tells_nothing_of_the_patient(cli: Any, make_series: Any) -> None:
    for form in ((), ("--json",)):
        said = cli("info", make_series(), *form)
        assert said.status == 0
        assert "dicom" in said.out
        assert "entinel" not in said.out.replace("SENTINEL", "Sentinel")


def test_a_model(cli: Any, models: dict[int, Path]) -> None:
    said = cli("info", models[3])
    assert (said.status, said.err) == (0, "")
    assert "    name: unet" in said.out.splitlines()
    told = json.loads(cli("info", models[2], "--json").out)
    assert told["model"]["network"]["dims"] == 2
    assert told["hash"].startswith("sha256:")


def test_a_directory_of_scans(cli: Any, make_scan: Any, tmp_path: Path) -> None:
    make_scan("in/a.nii.gz")
    make_scan("in/b.nii.gz")
    (tmp_path / "in/b.nii.gz").write_bytes(b"\x1f\x8b no gzip")
    make_scan("in/c.nii.gz")
    told = json.loads(cli("info", tmp_path / "in", "--json").out)["scans"]
    assert [Path(scan["path"]).name for scan in told] == ["a.nii.gz", "b.nii.gz", "c.nii.gz"]
    assert ["error" in scan for scan in told] == [False, True, False]
    assert "scan 3:" in cli("info", tmp_path / "in").out.splitlines()


def test_a_medium_of_several_series(cli: Any, make_series: Any, tmp_path: Path) -> None:
    medium = FileSet()
    for number in (1, 2):
        for path in make_series(f"{number}", uid=f"1.2.3.{number}", number=number).iterdir():
            image = pydicom.dcmread(path)
            image.StudyDate, image.StudyTime, image.StudyID = "20200101", "120000", "1"
            medium.add(image)
    medium.write(tmp_path / "medium")
    said = cli("info", tmp_path / "medium/DICOMDIR", "--json")
    assert (said.status, said.err) == (0, "")
    assert [scan["shape"] for scan in json.loads(said.out)["scans"]] == [[20, 16, 4]] * 2


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full((12, 12, 12), 3.0), "constant"),
        (np.full((12, 12, 12), np.nan), "no finite voxel"),
        (np.arange(8.0).reshape(2, 2, 2), "too small"),
    ],
)
def test_noise_that_cannot_be_told(cli: Any, make_scan: Any, array: Any, reason: str) -> None:
    said = cli("info", make_scan(array=array.astype(np.float32)), "--json")
    assert (said.status, said.err) == (0, "")
    noise = json.loads(said.out, parse_constant=pytest.fail)["noise"]
    assert noise["sigma"] is None
    assert reason in noise["reason"]


def test_what_is_no_scan(cli: Any, make_series: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "x.safetensors").write_text("hello")
    for name in ("none", "empty", "notes.txt", "x.safetensors"):
        said = cli("info", tmp_path / name)
        assert said.status == 2
        assert name in said.sentence
    said = cli("info", make_series(), "--series", "77")
    assert said.status == 2
    assert "77" in said.err
