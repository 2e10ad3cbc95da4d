"""The network that ships, over a scan that is read plane by plane."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import FileError
from meddenoise.workflows import batch, kept_noise, looked_at, streamed
from meddenoise.workflows.denoise import denoise_files

Both = Callable[..., tuple[md.Volume, md.Volume, tuple[str, ...]]]


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    """A scan denoised in memory and plane by plane; what was said is the same, and comes too."""

    def no_reading(*_: object, **__: object) -> None:
        raise AssertionError("it was read as a whole")

    def run(scan: Path, **how: Any) -> tuple[md.Volume, md.Volume, tuple[str, ...]]:
        [whole] = denoise_files(scan, tmp_path / "whole.nii", device="cpu", **how)
        monkeypatch.setattr(streamed, "STREAM_FROM", 1)
        monkeypatch.setattr(batch, "read", no_reading)
        [made] = denoise_files(scan, tmp_path / "made.nii", device="cpu", **how)
        assert made.notes == whole.notes
        assert (made.voxels, made.untouched) == (whole.voxels, whole.untouched)
        return md.read(tmp_path / "whole.nii"), md.read(tmp_path / "made.nii"), made.notes

    return run


def alike(one: md.Volume, other: md.Volume) -> None:
    """To 1e-4 of the range: both are one tile."""
    assert np.array_equal(np.isfinite(one.array), np.isfinite(other.array))
    spread = np.nanmax(one.array) - np.nanmin(one.array)
    np.testing.assert_allclose(one.array, other.array, atol=1e-4 * spread)


@pytest.mark.parametrize("kind", ["white", "rician", "uneven"])
@pytest.mark.parametrize("few", [False, True])
def test_it_is_as_in_memory(
    tmp_path: Path, scans: Any, both: Both, monkeypatch: pytest.MonkeyPatch, kind: str, few: bool
) -> None:
    """Also where only the middle planes tell of the noise."""
    if few:
        monkeypatch.setattr(looked_at, "_ENOUGH", 56 * 56 * 30)
    noisy = scans.scan("white" if kind == "uneven" else kind)
    if kind == "uneven":
        strength = np.linspace(0.5, 3, 56, dtype=np.float32)[:, None, None]
        clean = scans.anatomy().astype(np.float32)
        noisy = noisy.with_array((clean + strength * (noisy.array[0] - clean))[None])
    noisy.array[0, 20:23, 5, 5] = np.nan
    one, other, said = both(md.write(noisy, tmp_path / "scan.nii"))
    alike(one, other)
    assert ("Rician" in said[0]) == (kind == "rician")
    assert ("a map is taken" in said[0]) == (kind == "uneven")
    assert float(np.nanstd(other.array - noisy.array)) > 4


def test_every_channel_and_blank_ones(tmp_path: Path, scans: Any, both: Both) -> None:
    one, two = (scans.scan("white", seed).array for seed in (1, 2))
    scan = md.Volume.from_array(np.concatenate([one, np.full_like(one, 3), 2 * two]))
    whole, made, said = both(md.write(scan, tmp_path / "scan.nii"))
    alike(whole, made)
    assert (made.array[1] == 3).all()
    assert len([word for word in said if "The noise is taken" in word]) == 2


def test_strength_sigma_and_what_was_taken_away(
    tmp_path: Path, scans: Any, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = scans.scan("white")
    scan = md.write(noisy, tmp_path / "scan.nii")
    one, other, _ = both(scan, strength=0.5, sigma="3%")
    alike(one, other)

    def no_reading(*_: object, **__: object) -> None:
        raise AssertionError("it was read as a whole")

    monkeypatch.setattr(kept_noise, "read", no_reading)
    [made] = denoise_files(
        scan, tmp_path / "again.nii.gz", strength=0.5, sigma="3%", device="cpu",
        keep_noise=tmp_path / "noise.nii.gz",
    )  # fmt: skip
    assert made.error is None
    again, taken = (md.read(tmp_path / f"{name}.nii.gz").array for name in ("again", "noise"))
    np.testing.assert_allclose(taken, noisy.array - again, atol=1e-4)
    whole = denoise_files(scan, tmp_path / "full.nii", sigma="3%", device="cpu")
    assert whole[0].error is None
    full = md.read(tmp_path / "full.nii").array
    np.testing.assert_allclose(taken, (noisy.array - full) / 2, atol=1e-3)


@pytest.mark.parametrize("kind", ["white", "rician"])
def test_thick_slices(tmp_path: Path, scans: Any, both: Both, kind: str) -> None:
    noisy = scans.scan(kind).array[0]
    scan = md.Volume.from_array(noisy[:, :, ::2], spacing=(1, 1, 4), modality="MR")
    whole, made, _ = both(md.write(scan, tmp_path / "scan.nii"))
    alike(whole, made)


def test_thick_slices_across_the_planes(
    tmp_path: Path, scans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network for volumes goes over them alone, and that is said."""
    scan = md.Volume.from_array(scans.scan("white").array[0][::2], spacing=(4, 1, 1))
    path = md.write(scan, tmp_path / "scan.nii")
    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    [made] = denoise_files(path, tmp_path / "made.nii", device="cpu")
    assert any("across the planes" in note for note in made.notes)
    assert float(np.std(md.read(tmp_path / "made.nii").array - scan.array)) > 4


def test_a_constant_scan_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    flat = md.write(md.Volume.from_array(np.full((8, 8, 8), 7.0)), tmp_path / "flat.nii")
    with pytest.raises(FileError, match="constant, 7 everywhere"):
        denoise_files(flat, tmp_path / "out.nii", device="cpu")
    assert not (tmp_path / "out.nii").exists()


def test_noise_that_cannot_be_seen_changes_nothing(tmp_path: Path, both: Both, scans: Any) -> None:
    clean = scans.anatomy().astype(np.float32)
    image = nib.Nifti1Image(np.round(clean, -1), np.eye(4))
    nib.save(image, tmp_path / "scan.nii")
    one, other, _ = both(tmp_path / "scan.nii")
    np.testing.assert_allclose(one.array, other.array, atol=0.02)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_single_slice_that_stands_upright_is_an_image_however_large(
    tmp_path: Path, scans: Any, monkeypatch: pytest.MonkeyPatch, axis: int
) -> None:
    array = np.expand_dims(scans.scan("white").array[0, :, :, 28], axis)
    file = md.write(md.Volume.from_array(array), tmp_path / "noisy.nii")
    [small] = denoise_files(file, tmp_path / "small.nii", device="cpu")
    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    [large] = denoise_files(file, tmp_path / "large.nii", device="cpu")
    assert large.notes == small.notes
    one, other = (md.read(tmp_path / name).array for name in ("small.nii", "large.nii"))
    np.testing.assert_array_equal(one, other)
