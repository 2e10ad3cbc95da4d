"""Runs the command as a shell would, in this process, and makes small scans."""

from __future__ import annotations

import hashlib
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import meddenoise as md


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line on standard error."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


Cli = Callable[..., Said]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    """``cli("info", path)``: exit status, standard output, standard error; never a traceback."""
    from meddenoise import cli as command

    monkeypatch.delenv("MEDDENOISE_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: Any) -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["meddenoise", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            command.run()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        code = left.value.code
        return Said(0 if code is None else int(code), out, err)

    before = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, before)


def noisy(*shape: int, seed: int = 0) -> np.ndarray:
    """A bright block in noise of standard deviation 10, float32."""
    image = np.random.default_rng(seed).normal(100, 10, shape)
    image[tuple(slice(n // 4, n // 2) for n in shape)] += 150
    return image.astype(np.float32)


def save_nifti(path: Path, array: np.ndarray, spacing: tuple[float, ...] = (1, 1, 2)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([*spacing, 1.0])), path)
    return path


def save_series(directory: Path, *, slices: int = 4, uid: str = "1.2.3", number: int = 5) -> Path:
    """A small MR series of 12-bit slices, 16 x 20."""
    directory.mkdir(parents=True, exist_ok=True)
    for index in range(slices):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.9", uid
        ds.FrameOfReferenceUID, ds.Modality = "1.2.8", "MR"
        ds.PatientID, ds.PatientName = "SENTINEL", "Sentinel^Patient"
        ds.SeriesNumber, ds.InstanceNumber = number, index + 1
        ds.ImageType = ["ORIGINAL", "PRIMARY"]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.ImagePositionPatient = [0, 0, 2.0 * index]
        ds.PixelSpacing, ds.SliceThickness = [1, 1], 2
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows, ds.Columns, ds.PixelRepresentation = 16, 20, 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
        ds.PixelData = noisy(16, 20, seed=index).astype(np.uint16).tobytes()
        pydicom.dcmwrite(directory / f"{number}-{index}.dcm", ds, enforce_file_format=True)
    return directory


def contents(directory: Path) -> dict[str, str]:
    """Every file below a directory, hidden ones too, and the hash of its bytes."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(name="contents")
def _contents() -> Callable[[Path], dict[str, str]]:
    return contents


@pytest.fixture
def make_scan(tmp_path: Path) -> Callable[..., Path]:
    """``make_scan("name.nii.gz", array)``: a NIfTI; noise of 16 x 20 x 12 if no array is given."""

    def make(name: str = "scan.nii.gz", array: np.ndarray | None = None) -> Path:
        return save_nifti(tmp_path / name, noisy(16, 20, 12) if array is None else array)

    return make


@pytest.fixture
def make_series(tmp_path: Path) -> Callable[..., Path]:
    """``make_series("name", uid=..., number=...)``: a directory with a DICOM series."""

    def make(name: str = "series", **options: Any) -> Path:
        return save_series(tmp_path / name, **options)

    return make


@pytest.fixture
def scan(make_scan: Callable[..., Path]) -> Path:
    """A noisy NIfTI, 16 x 20 x 12."""
    return make_scan()


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., list[str]]:
    """``tiny("data.images=...")``: a configuration and options that train for a second."""
    config = tmp_path / "tiny.yaml"
    config.write_text(
        "data: {images: nothing, patch: [12, 12, 8], batch: 1}\n"
        "trainer: {name: noise2void}\n"
        "network: {name: unet, channels: [4, 8]}\n"
        "training: {steps: 2, validate_batches: 1, trackers: []}\n"
        "inference: {flips: false}\n"
    )

    def words(*overrides: str) -> list[str]:
        sets = [word for override in overrides for word in ("--set", override)]
        return ["train", str(config), "--device", "cpu", *sets]

    return words


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A model file for 2-D and one for 3-D, trained for two steps."""
    trainer = md.Noise2VoidTrainer()
    place = tmp_path_factory.mktemp("models")
    made = {}
    for dims in (2, 3):
        denoiser = trainer.fit(
            noisy(*(16,) * dims), patch=[8] * dims, batch=1, steps=2, validate_batches=1
        )
        made[dims] = denoiser.save(place / f"model{dims}.safetensors")
    return made
