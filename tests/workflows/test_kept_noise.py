"""What was taken away, beside the result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import OutputError
from meddenoise.workflows.denoise import denoise_files


def scan(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).normal(100, 10, (20, 20, 12)).astype(np.float32)
    return md.write(md.Volume.from_array(array, spacing=(1, 1, 2)), path)


def test_input_minus_result(tmp_path: Path) -> None:
    noisy, clean, noise = (tmp_path / name for name in ("a.nii.gz", "b.nii.gz", "c.nii.gz"))
    scan(noisy)
    (outcome,) = denoise_files(noisy, clean, method="median", keep_noise=noise)
    assert outcome.error is None
    assert any(str(noise) in note for note in outcome.notes)
    expected = md.read(noisy).array - md.read(clean).array
    found = md.read(noise)
    np.testing.assert_allclose(found.array, expected, atol=1e-5)
    assert float(found.array.min()) < 0
    np.testing.assert_array_equal(found.affine, md.read(noisy).affine)


def test_of_several_scans_into_a_directory(tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        scan(tmp_path / "in" / f"{name}.nii.gz", seed)
    outcomes = denoise_files(
        tmp_path / "in", tmp_path / "out", method="median", keep_noise=tmp_path / "noise"
    )
    assert [outcome.error for outcome in outcomes] == [None, None]
    for name in ("one", "two"):
        noisy, clean, noise = (
            md.read(tmp_path / place / f"{name}.nii.gz").array for place in ("in", "out", "noise")
        )
        np.testing.assert_allclose(noise, noisy - clean, atol=1e-5)


def test_what_is_in_the_way_is_said_first(tmp_path: Path) -> None:
    noisy, noise = scan(tmp_path / "a.nii.gz"), scan(tmp_path / "c.nii.gz")
    with pytest.raises(OutputError, match="exists"):
        denoise_files(noisy, tmp_path / "b.nii.gz", method="median", keep_noise=noise)
    assert not (tmp_path / "b.nii.gz").exists()
    with pytest.raises(OutputError):
        denoise_files(noisy, tmp_path / "b.nii.gz", method="median", keep_noise=noisy)
