"""The commands' functions on real scans, cropped or few slices of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.workflows.denoise import denoise_files
from meddenoise.workflows.simulate import simulate_file

TINY = {
    "trainer": {"name": "noise2void"},
    "network": {"name": "unet", "channels": [4, 8]},
    "training": {"steps": 2, "validate_batches": 1, "trackers": []},
}


def some_slices(series: Path, target: Path, count: int) -> Path:
    """A run of ``count`` neighbouring slices from the middle of a series."""
    import pydicom

    files = [path for path in series.iterdir() if path.is_file()]
    heads = {path: pydicom.dcmread(path, stop_before_pixels=True) for path in files}
    ordered = sorted(files, key=lambda path: int(heads[path].InstanceNumber))
    first = (len(ordered) - count) // 2
    target.mkdir()
    for path in ordered[first : first + count]:
        shutil.copy(path, target)
    return target


def test_noise_in_and_out_of_a_t1(shared_data: Path, tmp_path: Path) -> None:
    whole = md.read(shared_data / "mri/colin27_t1.nii.gz")
    crop = md.Volume(whole.array[:, 60:124, 70:134, 60:124], whole.affine)
    clean = md.write(crop, tmp_path / "clean.nii.gz")
    noisy, _ = simulate_file(
        clean, tmp_path / "noisy.nii.gz", noise="rician", parameters={"sigma": "8%"}, seed=1
    )
    (outcome,) = denoise_files(noisy, tmp_path / "out.nii.gz", method="gaussian")
    before, after = md.evaluate(clean, noisy), md.evaluate(clean, tmp_path / "out.nii.gz")
    assert outcome.clipped == outcome.untouched == 0
    assert 17 < before.psnr < after.psnr - 1.5
    assert after.ssim > before.ssim


@pytest.mark.parametrize("name", ["mr_t1_siemens", "ct_pelvis_soft"])
def test_a_dicom_series_comes_back_as_one(shared_data: Path, tmp_path: Path, name: str) -> None:
    series = some_slices(shared_data / "dicom" / name, tmp_path / "series", 12)
    (outcome,) = denoise_files(series, tmp_path / "out", method="median")
    noisy, clean = md.read(series), md.read(tmp_path / "out")
    noisy.check_same_grid(clean)
    assert (clean.units, clean.modality) == (noisy.units, noisy.modality)
    assert len(list((tmp_path / "out").iterdir())) == 12
    assert outcome.clipped == 0
    change = clean.array - noisy.array
    assert change.std() > 0
    if noisy.units == "HU":  # muscle: flat but for noise
        muscle = (noisy.array > 20) & (noisy.array < 90)
        assert abs(np.median(change[muscle])) < 1


def test_nrrd_keeps_its_fields(shared_data: Path, tmp_path: Path) -> None:
    import nrrd

    scan = shared_data / "nrrd/brain1_image.nrrd"
    denoise_files(scan, tmp_path / "out.nrrd", method="median")
    before, after = nrrd.read_header(str(scan)), nrrd.read_header(str(tmp_path / "out.nrrd"))
    for field in ("type", "dimension", "space", "sizes", "kinds"):
        assert np.array_equal(before[field], after[field])
    np.testing.assert_allclose(before["space directions"], after["space directions"])
    np.testing.assert_allclose(before["space origin"], after["space origin"])


@pytest.mark.filterwarnings("ignore::meddenoise.io.ClippingWarning")
def test_photographs_train_and_denoise_in_2d(shared_data: Path, tmp_path: Path) -> None:
    images = str(shared_data / "natural/Set12/0[1-3].png")
    config: dict[str, Any] = {
        **TINY,
        "data": {"images": images, "patch": [64, 64], "batch": 2},
        "noise": {"name": "gaussian", "sigma": 25},
    }
    run = md.train(config, output=tmp_path / "run", progress=False)
    assert run is not None
    assert run.metrics["test"]["noisy"]["rmse"] == pytest.approx(25, rel=0.02)
    model = run.directory / "model.safetensors"
    outcomes = denoise_files(images, tmp_path / "out", model=model, device="cpu")
    assert [Path(str(o.output)).name for o in outcomes] == ["01.png", "02.png", "03.png"]
    assert [o.error for o in outcomes] == [None] * 3


@pytest.mark.filterwarnings("ignore::meddenoise.io.ClippingWarning")
def test_quarter_dose_learns_from_full_dose(shared_data: Path, tmp_path: Path) -> None:
    """Two patients, each with a directory of either dose; slices lie unevenly, so 2-D."""
    pairs = shared_data / "pairs"
    config: dict[str, Any] = {
        **TINY,
        "trainer": {"name": "supervised"},
        "data": {
            "images": str(pairs / "L*/quarter*"),
            "targets": str(pairs / "L*/full*"),
            "patch": [64, 64],
            "batch": 2,
            "normalise": {"method": "fixed", "scale": 200},
        },
    }
    run = md.train(config, output=tmp_path / "run", progress=False)
    assert run is not None
    split = json.loads((run.directory / "splits.json").read_text())
    (trained,), (tested,) = split["train"], split["test"]
    assert trained["subject"] != tested["subject"]
    test = run.metrics["test"]
    assert len(test["volumes"]) == 1
    assert 20 < test["noisy"]["rmse"] < 80  # HU between the doses
    (written,) = (run.directory / "denoised").iterdir()
    assert md.read(written).units == "HU"
