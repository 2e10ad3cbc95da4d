"""The scans that speed is measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def scan(shape: tuple[int, ...]) -> Any:
    """A ball with noise, whole numbers, float32."""
    import numpy as np

    axes = [np.linspace(-1, 1, n, dtype=np.float32) ** 2 for n in shape]
    distance = axes[0][:, None, None] + axes[1][None, :, None] + axes[2]
    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    clean = np.where(distance < 0.8, 800 * (1.4 - distance), 0)
    return np.rint(np.clip(clean + 40 * noise, 0, None)).astype(np.float32)


def series(place: Path, count: int) -> Path:
    """A CT series of so many slices of 256 x 256."""
    import numpy as np
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    place.mkdir()
    array = scan((256, 256, count)).astype(np.int16)
    study, whole, frame = generate_uid(), generate_uid(), generate_uid()
    for k in range(count):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = CTImageStorage
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, whole, frame
        one.Modality, one.PatientID, one.PatientName = "CT", "1", "A"
        one.SeriesNumber, one.InstanceNumber = 1, k + 1
        one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.ImagePositionPatient, one.SliceThickness = [0, 0, k], 1
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.PixelSpacing = [1, 1]
        one.Rows = one.Columns = 256
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, 1
        one.RescaleSlope, one.RescaleIntercept = 1, -1024
        one.PixelData = np.ascontiguousarray(array[..., k].T).tobytes()
        one.save_as(place / f"{k:04}.dcm", enforce_file_format=True)
    return place
