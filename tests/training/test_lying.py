from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import ConfigError
from meddenoise.training import Noise2VoidTrainer, SupervisedTrainer, build_trainer
from meddenoise.training.lying import lying
from meddenoise.training.prepare import Prepared
from meddenoise.volume import Volume

QUICK: dict[str, Any] = {
    "patch": [16, 12], "steps": 3, "batch": 2, "device": "cpu", "validate_batches": 1,
}  # fmt: skip


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, (28, 24)).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_learned_from_as_the_image_that_it_is(axis: int) -> None:
    noisy, clean = image(0), image(1)
    expected = SupervisedTrainer().fit(noisy, clean, **QUICK)
    slices = (np.expand_dims(each, axis) for each in (noisy, clean))
    found = SupervisedTrainer().fit(*slices, **QUICK)
    assert found.info["training"]["patch"] == [16, 12]
    assert np.array_equal(found.denoise_array(noisy), expected.denoise_array(noisy))


def test_place_and_padding_are_turned_with_the_slice() -> None:
    array = image(0)[None, None]
    padding = np.zeros(array.shape, bool)
    padding[0, 0, 3, 4] = True
    affine = np.array([[5, 0, 0, 1], [0, 2, 0, 2], [0, 0, 3, 3], [0, 0, 0, 1]], float)
    scan = Prepared("a scan", Volume(array, affine, padding=padding), None)
    (turned,) = lying([scan], 2)
    assert turned.volume.shape == (28, 24, 1)
    assert turned.volume.spacing == (2, 3, 5)
    assert np.argwhere(turned.volume.padding).tolist() == [[0, 3, 4, 0]]
    # The corner of the slice is where it was.
    place = np.array([7, 9, 0, 1.0])
    np.testing.assert_array_equal(turned.volume.affine @ place, affine @ [0, 7, 9, 1])


@pytest.mark.parametrize("shape", [(1, 28, 1), (28, 24, 1), (2, 14, 24), (28, 24)])
def test_other_scans_and_3d_networks_stay_as_they_are(shape: tuple[int, ...]) -> None:
    scans = [Prepared("a scan", Volume.from_array(np.ones(shape, np.float32)), None)]
    assert lying(scans, 2)[0] is scans[0]
    assert lying(scans, 3) is scans


def test_rows_of_a_single_slice_are_no_neighbouring_slices() -> None:
    with pytest.raises(ConfigError, match="no neighbouring slices"):
        build_trainer("slice2slice").fit(image(0)[None], **QUICK)


def test_a_run_on_a_sagittal_slice_has_patches_of_that_slice(tmp_path: Path) -> None:
    md.write(Volume.from_array(image(0)[None]), tmp_path / "sagittal.nii.gz")
    config = {
        "data": {"images": str(tmp_path / "sagittal.nii.gz"), "patch": [16, 16], "batch": 2},
        "trainer": {"name": "noise2void"},
        "network": {"name": "unet", "channels": [4, 4]},
        "training": {"steps": 2, "trackers": []},
    }
    run = md.train(config, output=tmp_path / "chosen", device="cpu", progress=False)
    assert run is not None
    assert run.denoiser.info["training"]["patch"] == [16, 16]
    assert md.read(tmp_path / "chosen" / "denoised" / "sagittal.nii.gz").shape == (1, 28, 24)


def test_the_default_patch_is_of_the_slice() -> None:
    how = {**QUICK, "patch": (64, 64)}
    fitted = Noise2VoidTrainer().fit(image(0)[None], **how)
    assert fitted.info["training"]["patch"] == [28, 24]
