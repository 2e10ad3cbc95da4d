from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import meddenoise as md
from meddenoise.config import InferenceConfig
from meddenoise.errors import FileError, OutputError
from meddenoise.io.plane_scan import PlaneScan
from meddenoise.networks import build_network
from meddenoise.workflows.denoise import denoise_files


def small_model(place: Path, *, restore: bool = True) -> Path:
    torch.manual_seed(0)
    network = build_network("unet", dims=3, channels=[2, 3])
    info = {"network": {"name": "unet", "dims": 3, "options": {"channels": [2, 3]}}}
    settings = InferenceConfig(tile_voxels=8000, restore=restore)
    made = md.Denoiser(network, info=info, inference=settings, device="cpu")
    return made.save(place / "model.safetensors")


def test_a_large_scan_is_denoised_from_file_to_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meddenoise.workflows import batch, streamed

    array = np.random.default_rng(0).normal(100, 20, (20, 24, 30)).astype(np.float32)
    array[3, 4, 5] = np.nan
    scan = md.write(md.Volume.from_array(array, spacing=(1, 2, 3)), tmp_path / "scan.nii")
    model = small_model(tmp_path)
    [whole] = denoise_files(scan, tmp_path / "whole.nii", model=model)

    def no_reading(*_: object, **__: object) -> None:
        raise AssertionError("it was read as a whole")

    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    monkeypatch.setattr(batch, "read", no_reading)
    told: list[float] = []
    [made] = denoise_files(scan, tmp_path / "made.nii", model=model, progress=told.append)
    assert told[-1] == pytest.approx(1)
    assert (made.voxels, made.untouched, made.clipped) == (array.size, 1, 0)
    one, other = md.read(tmp_path / "whole.nii").array, md.read(tmp_path / "made.nii").array
    assert np.allclose(one, other, atol=1e-3, equal_nan=True)
    assert not np.allclose(np.nan_to_num(other[0]), np.nan_to_num(array), atol=1)
    assert whole.untouched == made.untouched

    constant = md.write(md.Volume.from_array(np.full((8, 8, 8), 7.0)), tmp_path / "flat.nii")
    with pytest.raises(FileError, match="constant, 7 everywhere"):
        denoise_files(constant, tmp_path / "none.nii", model=model)
    damaged = tmp_path / "damaged.nii.gz"
    md.write(md.Volume.from_array(array), damaged)
    damaged.write_bytes(damaged.read_bytes()[:-3000])
    with pytest.raises(FileError, match="truncated"):
        denoise_files(damaged, tmp_path / "none.nii", model=model)
    assert {p.name for p in tmp_path.iterdir()} == {
        "scan.nii", "whole.nii", "made.nii", "flat.nii", "damaged.nii.gz", "model.safetensors"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("restore", "told"),
    [(True, "has no room for the scan in float32"), (False, "cannot be written")],
)
def test_a_full_disk_stops_it_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restore: bool, told: str
) -> None:
    resource = pytest.importorskip("resource")
    from meddenoise.workflows import streamed

    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    array = np.random.default_rng(0).normal(100, 20, (20, 24, 30)).astype(np.float32)
    scan = md.write(md.Volume.from_array(array), tmp_path / "scan.nii")
    model = small_model(tmp_path, restore=restore)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OutputError, match=told):
            denoise_files(scan, tmp_path / "out.nii", model=model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors", "scan.nii"]


def test_strength_and_what_was_taken_away_of_a_large_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meddenoise.workflows import batch, kept_noise, streamed

    array = np.random.default_rng(0).normal(100, 20, (2, 20, 24, 30)).astype(np.float32)
    array[0, 3, 4, 5] = np.nan
    scan = md.write(md.Volume.from_array(array), tmp_path / "scan.nii")
    how = {"model": small_model(tmp_path), "strength": 0.25}
    denoise_files(scan, tmp_path / "whole.nii", keep_noise=tmp_path / "noise.nii", **how)

    def no_reading(*_: object, **__: object) -> None:
        raise AssertionError("it was read as a whole")

    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    for module in (batch, kept_noise):
        monkeypatch.setattr(module, "read", no_reading)
    [made] = denoise_files(scan, tmp_path / "made.nii", keep_noise=tmp_path / "taken.nii", **how)
    assert made.error is None
    one, other = md.read(tmp_path / "whole.nii").array, md.read(tmp_path / "made.nii").array
    np.testing.assert_allclose(one, other, atol=1e-3)
    assert not np.allclose(np.nan_to_num(other), np.nan_to_num(array), atol=1)
    noise, taken = md.read(tmp_path / "noise.nii").array, md.read(tmp_path / "taken.nii").array
    np.testing.assert_allclose(noise, taken, atol=1e-3)
    np.testing.assert_allclose(taken, np.nan_to_num(array - other), atol=1e-4)


def test_what_needs_a_large_scan_as_a_whole_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meddenoise.errors import ParameterError
    from meddenoise.workflows import streamed, whole

    array = np.random.default_rng(0).normal(100, 20, (20, 24, 30)).astype(np.float32)
    scan = md.write(md.Volume.from_array(array), tmp_path / "scan.nii")
    [small] = denoise_files(scan, tmp_path / "small.nii", method="median")
    assert not small.notes
    monkeypatch.setattr(whole, "STREAM_FROM", 1)
    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    [made] = denoise_files(scan, tmp_path / "made.nii", method="gaussian")
    assert "held in memory as a whole" in made.notes[0]
    monkeypatch.setattr(whole, "free_memory", lambda: 3 * array.nbytes - 1)
    with pytest.raises(ParameterError, match=r"14,400 voxels, .* at least 0\.0 GiB of memory"):
        denoise_files(scan, tmp_path / "none.nii", method="gaussian")
    assert not (tmp_path / "none.nii").exists()


def test_a_header_is_read_once_to_see_how_a_scan_is_denoised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a series in DICOM all headers in its directory are read for that.
    from meddenoise.io import nifti
    from meddenoise.workflows import streamed

    opened: list[Path] = []
    opening = nifti.nifti_planes

    def counted(path: Path) -> PlaneScan | None:
        opened.append(path)
        return opening(path)

    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    monkeypatch.setattr(nifti, "nifti_planes", counted)
    upright = np.random.default_rng(0).normal(100, 20, (1, 24, 30)).astype(np.float32)
    scan = md.write(md.Volume.from_array(upright), tmp_path / "scan.nii")
    denoise_files(scan, tmp_path / "made.nii", method="median")
    assert opened == [scan]


def test_a_large_series_is_denoised_slice_by_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pydicom

    from meddenoise.workflows import batch, streamed

    place = ct_series(tmp_path / "ct", np.random.default_rng(0).normal(100, 20, (12, 20, 24)))
    model = small_model(tmp_path)
    denoise_files(place, tmp_path / "whole", model=model)

    def no_reading(*_: object, **__: object) -> None:
        raise AssertionError("it was read as a whole")

    monkeypatch.setattr(streamed, "STREAM_FROM", 1)
    monkeypatch.setattr(batch, "read", no_reading)
    [made] = denoise_files(place, tmp_path / "made", model=model)
    padded = 12 * 3 * 24
    assert (made.voxels, made.untouched, made.clipped) == (12 * 20 * 24, padded, 0)
    denoise_files(place, tmp_path / "made.nii", model=model)
    one, other = md.read(tmp_path / "whole"), md.read(tmp_path / "made")
    # A rounding to whole numbers may fall to either side.
    assert np.abs(one.array - other.array).max() <= 1
    assert np.mean(one.array != other.array) < 0.01
    assert (one.units, one.modality) == (other.units, other.modality)
    stored = pydicom.dcmread(sorted((tmp_path / "made").iterdir())[5]).pixel_array
    assert (stored[:3] == -2000).all()
    assert np.abs(md.read(tmp_path / "made.nii").array - one.array)[:, :, 3:].max() <= 1


def ct_series(place: Path, slices: np.ndarray) -> Path:
    """``(Z, rows, columns)`` as CT with three rows of padding."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    place.mkdir()
    series = generate_uid()
    for number, values in enumerate(slices.astype(np.int16)):
        pixels = values.copy()
        pixels[:3] = -2000
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = CTImageStorage
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.3.4", series
        one.Modality, one.PatientID, one.PatientName = "CT", "1", "A"
        one.SeriesNumber, one.InstanceNumber = 1, number + 1
        one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.ImagePositionPatient, one.SliceThickness = [0, 0, 2 * number], 2
        one.ImageOrientationPatient, one.PixelSpacing = [1, 0, 0, 0, 1, 0], [1, 1]
        one.Rows, one.Columns = pixels.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, 1
        one.PixelPaddingValue = -2000
        one.RescaleSlope, one.RescaleIntercept = 1, -1024
        one.PixelData = pixels.tobytes()
        one.save_as(place / f"{number:04}.dcm", enforce_file_format=True)
    return place
