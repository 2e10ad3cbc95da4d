from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.transforms import Compose, Invertd, RandFlipd, RandSpatialCropSamplesd

from meddenoise.errors import FileError, ParameterError
from meddenoise.transforms import AddNoise, AddNoised, LoadVolume, LoadVolumed, NormaliseIntensityd


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).gamma(2, 300, (24, 20, 18)).astype(np.float32)
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-0.9, 0.9, 3.0, 1.0])), path)
    return path


def values(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj, dtype=np.float32)


def test_array_loader(scan: Path) -> None:
    loaded = LoadVolume()(scan)
    assert loaded.shape == (1, 24, 20, 18)
    np.testing.assert_array_equal(loaded[0].numpy(), values(scan))
    np.testing.assert_allclose(np.asarray(loaded.affine), np.diag([-0.9, 0.9, 3.0, 1.0]))


def test_a_whole_pipeline_from_a_file_to_a_noisy_patch_beside_a_clean_one(scan: Path) -> None:
    both = ["image", "target"]
    pipeline = Compose(
        [
            LoadVolumed(both),
            NormaliseIntensityd(both, like="image"),
            RandSpatialCropSamplesd(both, roi_size=(16, 16, 8), num_samples=3, random_size=False),
            RandFlipd(both, prob=0.5, spatial_axis=0),
            AddNoised("image", "rician", sigma=["2%", "10%"]),
        ]
    )
    files = {"image": scan, "target": scan}
    patches = pipeline.set_random_state(seed=1)(files)
    again = pipeline.set_random_state(seed=1)(files)
    full = values(scan)
    for patch, same in zip(patches, again, strict=True):
        assert patch["image"].shape == patch["target"].shape == (1, 16, 16, 8)
        assert torch.equal(patch["image"].as_tensor(), same["image"].as_tensor())
        clean = patch["target"].as_tensor().numpy() * full.std() + full.mean()
        assert np.isclose(full.ravel()[:, None], clean.ravel()[:5], atol=0.01).any(axis=0).all()
        spread = float((patch["image"] - patch["target"]).as_tensor().std()) * full.std()
        assert spread == pytest.approx(patch["image"].meta["noise"]["sigma"], rel=0.1)


def test_a_prediction_goes_back_to_the_scan_s_units(scan: Path) -> None:
    forward = Compose([LoadVolumed("image"), NormaliseIntensityd("image", "percentile")])
    data = forward({"image": scan})
    data["pred"] = data["image"] * 1.0
    restored = Invertd("pred", transform=forward, orig_keys="image", nearest_interp=False)(data)
    np.testing.assert_allclose(restored["pred"][0].numpy(), values(scan), atol=1e-2)


def test_a_ct_model_knows_an_mr_scan_by_its_header(shared_data: Path) -> None:
    mr = LoadVolume()(shared_data / "dicom" / "mr_t1_siemens")
    with pytest.raises(ParameterError, match=r"CT only.*MR"):
        AddNoise("poisson", dose=0.5)(mr[..., :4])


def test_what_cannot_be_read_is_told_as_the_reader_tells_it(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.nii\.gz"):
        LoadVolume()(tmp_path / "none.nii.gz")
    damaged = tmp_path / "damaged.nii.gz"
    damaged.write_bytes(b"no scan")
    with pytest.raises(FileError, match=r"damaged\.nii\.gz"):
        LoadVolumed("image")({"image": damaged})
