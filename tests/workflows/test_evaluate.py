from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import GeometryError, ParameterError
from meddenoise.noise.scan_level import one_channel
from meddenoise.workflows.evaluate import evaluate_without_reference


def test_arrays_volumes_and_paths_mix(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clean = rng.uniform(0, 100, (16, 16, 16)).astype(np.float32)
    noisy = clean + rng.normal(0, 5, clean.shape).astype(np.float32)
    volume = md.Volume.from_array(clean)
    path = md.write(md.Volume.from_array(noisy), tmp_path / "noisy.nii.gz")
    scores = [
        md.evaluate(clean, noisy),
        md.evaluate(volume, path),
        md.evaluate(volume, noisy, mask=np.ones(clean.shape)),
    ]
    assert {score.psnr for score in scores} == {scores[0].psnr}
    assert scores[0].rmse == pytest.approx(5, rel=0.05)


def test_a_masked_array_is_a_mask_of_what_it_does_not_mask(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clean = rng.uniform(0, 100, (32, 32, 32)).astype(np.float32)
    noisy = clean + rng.normal(0, 5, clean.shape).astype(np.float32)
    noisy[:16] += 50
    # On a scan's grid, which an array has no place of its own for.
    scans = [md.Volume.from_array(a, spacing=(1, 2, 3)) for a in (clean, noisy)]
    hidden = np.zeros(clean.shape, dtype=bool)
    hidden[:16] = True
    mask = np.ma.masked_array(np.ones(clean.shape), hidden)
    assert md.evaluate(*scans, mask=mask) == md.evaluate(*scans, mask=~hidden)
    found = [evaluate_without_reference(*scans, mask=one) for one in (mask, ~hidden)]
    assert found[0].values["shift"] == found[1].values["shift"]
    assert found[0].voxels == clean.size // 2


def test_grids_that_do_not_match_are_named(tmp_path: Path) -> None:
    array = np.random.default_rng(0).uniform(0, 1, (12, 12, 12))
    one = md.write(md.Volume.from_array(array), tmp_path / "one.nii.gz")
    moved = md.write(md.Volume.from_array(array, spacing=(1, 1, 2)), tmp_path / "moved.nii.gz")
    with pytest.raises(GeometryError, match=r"one\.nii\.gz and .*moved\.nii\.gz lie up to 11 mm"):
        md.evaluate(one, moved)
    with pytest.raises(GeometryError, match=r"one\.nii\.gz and .*moved\.nii\.gz lie up to 11 mm"):
        md.evaluate(md.read(one), moved)
    with pytest.raises(ParameterError):
        md.evaluate(array, array[:6])


def test_a_scan_without_a_finite_voxel_is_named(tmp_path: Path) -> None:
    array = np.random.default_rng(0).uniform(0, 1, (12, 12, 12)).astype(np.float32)
    nothing = np.full_like(array, np.nan)
    good = md.write(md.Volume.from_array(array), tmp_path / "good.nii.gz")
    truth = md.write(md.Volume(np.stack([array, nothing]), np.eye(4)), tmp_path / "truth.nii.gz")
    second = one_channel(md.read(truth), 1)
    for pair in ((second, good), (good, second)):
        with pytest.raises(ParameterError, match=r"No voxel of .*truth\.nii\.gz is finite"):
            md.evaluate(*pair)
    with pytest.raises(ParameterError, match="No voxel of the reference is finite"):
        md.evaluate(nothing, array)
    with pytest.raises(ParameterError, match=r"in both .*good\.nii\.gz and .*truth\.nii\.gz"):
        evaluate_without_reference(second, good)


@pytest.mark.parametrize("wrong", [np.ones((16, 16), object), [[1, 2], [3]], [["a", "b"]]])
def test_arrays_that_are_no_images_are_one_sentence(wrong: Any) -> None:
    image = np.random.default_rng(0).normal(0, 1, (16, 16))
    for given in ({"reference": wrong}, {"image": wrong}, {"mask": wrong}, {"labels": wrong}):
        with pytest.raises(ParameterError, match="A volume's voxels"):
            md.evaluate(**{"reference": image, "image": image + 1, **given})
