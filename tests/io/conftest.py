"""Small DICOM series made on the spot, with everything that may vary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

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
