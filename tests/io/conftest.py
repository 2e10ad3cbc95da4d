"""Small DICOM series made on the spot, with everything that may vary; and who else reads scans."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from meddenoise import io

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def classic_slice(pixels: np.ndarray, number: int, **elements: Any) -> Dataset:
    """One classic MR or CT image; ``elements`` replace or (``None``) remove what is there."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = Dataset()
    ds.file_meta = meta
    ds.Modality = elements.get("Modality", "MR")
    ds.SOPClassUID = CT if ds.Modality == "CT" else MR
    ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID = "1.2.3.4"
    ds.SeriesInstanceUID = "1.2.3.4.5"
    ds.FrameOfReferenceUID = "1.2.3.4.6"
    ds.PatientName, ds.PatientID = "Sentinel^Patient", "SENTINEL-ID"
    ds.SeriesNumber, ds.SeriesDescription = 7, "axial test"
    ds.InstanceNumber = number
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    ds.AcquisitionDate, ds.ContentDate = "20200101", "20200101"
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [-10, -20, 5.0 * number]
    ds.PixelSpacing, ds.SliceThickness = [0.7, 0.4], 5
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    for keyword, value in elements.items():
        if value is None:
            if keyword in ds:
                delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    if "HighBit" not in elements:
        ds.HighBit = ds.BitsStored - 1
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


SeriesMaker = Callable[..., Path]


@pytest.fixture
def make_series(tmp_path: Path) -> SeriesMaker:
    """``make_series(voxels, name=..., per_slice=..., **elements)`` writes (Z, rows, columns)."""

    def make(
        voxels: np.ndarray,
        *,
        name: str = "series",
        first: int = 1,
        per_slice: Callable[[int], dict[str, Any]] = lambda number: {},
        **elements: Any,
    ) -> Path:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        for index, pixels in enumerate(voxels):
            number = first + index
            ds = classic_slice(pixels, number, **{**elements, **per_slice(index)})
            # Names run against the positions: order must come from geometry.
            pydicom.dcmwrite(directory / f"{999 - number:04}", ds, enforce_file_format=True)
        return directory

    return make


@pytest.fixture
def ramp() -> np.ndarray:
    """(3 slices, 4 rows, 5 columns) of different uint16 numbers."""
    return np.arange(60, dtype=np.uint16).reshape(3, 4, 5) * 7


Reader = Callable[[Path], np.ndarray]
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def readers() -> dict[str, Reader]:
    """By library: where the brightest voxel of a scan lies, in LPS mm, by its own geometry."""
    return {
        "meddenoise": _by_meddenoise,
        "SimpleITK": _by_simpleitk,
        "itk": _by_itk,
        "nibabel": _by_nibabel,
        "pynrrd": _by_pynrrd,
        "dcm2niix": _by_dcm2niix,
        "highdicom": _by_highdicom,
    }


def _brightest(array: np.ndarray) -> np.ndarray:
    index = np.array(np.unravel_index(np.argmax(array), array.shape))
    assert np.count_nonzero(array == array.max()) == 1, "the marker is not the only such voxel"
    return index


def _at(affine: np.ndarray, index: np.ndarray) -> np.ndarray:
    return (affine @ [*index, 1])[:3]


def _by_meddenoise(path: Path) -> np.ndarray:
    volume = io.read(path)
    return _at(LPS @ volume.affine, _brightest(volume.array[0]))


def _by_simpleitk(path: Path) -> np.ndarray:
    import SimpleITK as sitk

    named: Any = str(path)
    if path.is_dir():
        named = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(named)
    image = sitk.ReadImage(named)
    index = _brightest(sitk.GetArrayFromImage(image))[::-1]
    return np.array(image.TransformIndexToPhysicalPoint([int(n) for n in index]))


def _by_itk(path: Path) -> np.ndarray:
    itk = pytest.importorskip("itk", reason="itk-io (of the extra 'test') is not installed")
    named: Any = str(path)
    if path.is_dir():
        names = itk.GDCMSeriesFileNames.New()
        names.SetDirectory(named)
        named = list(names.GetInputFileNames())
    image = itk.imread(named, itk.F)  # its Python knows no images of signed bytes
    index = _brightest(itk.array_from_image(image))[::-1]
    return np.array(image.TransformIndexToPhysicalPoint([int(n) for n in index]))


def _by_nibabel(path: Path) -> np.ndarray:
    import nibabel as nib

    image: Any = nib.load(path)
    return _at(LPS @ image.affine, _brightest(np.asarray(image.dataobj)))


def _by_pynrrd(path: Path) -> np.ndarray:
    import nrrd

    array, header = nrrd.read(str(path))
    assert header["space"] == "left-posterior-superior"
    return _brightest(array) @ header["space directions"] + header["space origin"]


def _by_dcm2niix(path: Path) -> np.ndarray:
    beside = str(Path(sys.executable).parent)
    program = shutil.which("dcm2niix", path=beside) or shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed")
    with tempfile.TemporaryDirectory() as place:
        alone = "y" if path.is_file() else "n"
        command = [program, "-b", "n", "-z", "n", "-s", alone, "-f", "x", "-o", place, str(path)]
        subprocess.run(command, check=True, capture_output=True)
        (image,) = Path(place).glob("*.nii")
        return _by_nibabel(image)


def _by_highdicom(path: Path) -> np.ndarray:
    hd = pytest.importorskip("highdicom", reason="highdicom (of the extra 'test') is not installed")
    if path.is_dir() and len(list(path.iterdir())) > 1:
        volume = hd.get_volume_from_series([pydicom.dcmread(file) for file in path.iterdir()])
    else:
        volume = hd.imread(next(path.iterdir()) if path.is_dir() else path).get_volume()
    return _at(volume.affine, _brightest(np.asarray(volume.array)))
