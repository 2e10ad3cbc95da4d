"""DICOM objects made on the spot, and where their voxels belong."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from files.verdict import Placed

CLASSES = {
    "CT": uid.CTImageStorage,
    "MR": uid.MRImageStorage,
    "PT": uid.PositronEmissionTomographyImageStorage,
}
ROWS, COLUMNS, SLICES = 16, 20, 9
SPACING = (0.7, 0.4)  # between rows, between columns
STEP = 5.0
_a, _b = np.deg2rad([20, 15])
ALONG = np.array([math.cos(_a), math.sin(_a), 0])
DOWN = np.array([-math.sin(_a) * math.cos(_b), math.cos(_a) * math.cos(_b), math.sin(_b)])
NORMAL = np.cross(ALONG, DOWN)
ORIGIN = np.array([-31.0, -42.0, 53.0])
Series = list[Dataset]


def ramp(slices: int = SLICES, kind: str = "u2") -> np.ndarray:
    """``(slices, rows, columns)`` of different numbers."""
    return np.arange(1, 1 + slices * ROWS * COLUMNS).reshape(slices, ROWS, COLUMNS).astype(kind)


def positions(slices: int = SLICES, step: np.ndarray | None = None) -> np.ndarray:
    """``(slices, 3)`` LPS mm of the first voxel of each slice."""
    step = NORMAL * STEP if step is None else step
    return ORIGIN + np.arange(slices)[:, None] * step


def make(voxels: np.ndarray, places: np.ndarray, modality: str = "MR", **elements: Any) -> Series:
    """One classic instance a slice; ``elements`` that are callable get the slice's number."""
    return [
        instance(picture, place, number, modality, elements)
        for number, (picture, place) in enumerate(zip(voxels, places, strict=True))
    ]


def instance(
    picture: np.ndarray, place: np.ndarray, number: int, modality: str, elements: dict[str, Any]
) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CLASSES[modality], uid.generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.5"
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = "1.2.3.4.6", ""
    ds.Modality, ds.Manufacturer, ds.SeriesNumber = modality, "Maker", 7
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Test", "1", "", ""
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20200101"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "120000"
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", "", ""
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if modality == "CT" else "M"]
    ds.InstanceNumber, ds.AcquisitionNumber, ds.PatientPosition = number + 1, 1, "HFS"
    ds.ImageOrientationPatient = [round(float(n), 10) for n in (*ALONG, *DOWN)]
    ds.ImagePositionPatient = [round(float(n), 9) for n in place]
    ds.PixelSpacing, ds.SliceThickness = list(SPACING), STEP
    ds.Rows, ds.Columns = picture.shape[:2]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = picture.dtype.itemsize * 8
    ds.PixelRepresentation = int(picture.dtype.kind == "i")
    if modality == "CT":
        ds.RescaleSlope, ds.RescaleIntercept, ds.KVP = 1, 0, 120
    else:
        ds.EchoTime, ds.RepetitionTime, ds.ScanningSequence, ds.SequenceVariant = 3, 8, "GR", "NONE"
        ds.ScanOptions, ds.MRAcquisitionType, ds.EchoTrainLength = "", "3D", 1
    for keyword, value in elements.items():
        setattr(ds, keyword, value(number) if callable(value) else value)
    ds.HighBit = ds.BitsStored - 1
    ds.PixelData = picture.tobytes()
    ds["PixelData"].VR = "OW" if picture.dtype.itemsize > 1 else "OB"
    return ds


def save(series: Series, place: Path) -> Path:
    """Files whose names run against the order of the list."""
    place.mkdir()
    for number, ds in enumerate(series):
        pydicom.dcmwrite(place / f"{500 - number:04}.dcm", ds, enforce_file_format=True)
    return place


def save_alone(ds: Dataset, place: Path) -> Path:
    """One file, in a directory of its own, to be named by itself."""
    return next(save([ds], place).iterdir())


def placed(voxels: np.ndarray, places: np.ndarray, most: int = 0, **options: Any) -> Placed:
    """``(slices, rows, columns[, C])`` values at slices that begin at LPS ``places``."""
    return located(voxels, places, ALONG, DOWN, SPACING, most, **options)


def located(
    voxels: np.ndarray, places: np.ndarray, along: np.ndarray, down: np.ndarray,
    spacing: tuple[float, float], most: int = 0, **options: Any,
) -> Placed:  # fmt: skip
    slices, rows, columns = voxels.shape[:3]
    k, r, c = (axis.reshape(-1) for axis in np.indices((slices, rows, columns)))
    if most and len(k) > most:
        chosen = np.random.default_rng(0).choice(len(k), most, replace=False)
        k, r, c = k[chosen], r[chosen], c[chosen]
    points = places[k] + np.outer(c * spacing[1], along) + np.outer(r * spacing[0], down)
    count = slices * rows * columns
    return Placed(voxels[k, r, c], points * [-1, -1, 1], count, slices, **options)


def read_plain(files: list[Path], most: int = 4000, tolerance: float | None = None) -> Placed:
    """The truth of a real series of single-frame files: pydicom's pixels, sorted by position."""
    series = [pydicom.dcmread(path) for path in files]
    along, down = np.array(series[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(along, down)
    series.sort(key=lambda ds: float(np.array(ds.ImagePositionPatient, float) @ normal))
    scales = [(float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0)))
              for ds in series]  # fmt: skip
    voxels = np.stack([ds.pixel_array * slope + intercept
                       for ds, (slope, intercept) in zip(series, scales, strict=True)])  # fmt: skip
    places = np.array([ds.ImagePositionPatient for ds in series], float)
    spacing = tuple(map(float, series[0].PixelSpacing))
    if tolerance is None:
        tolerance = 0.01 * min(slope for slope, _ in scales)
    return located(voxels, places, along, down, spacing, most, tolerance=tolerance)


def enhanced(voxels: np.ndarray, places: np.ndarray, slopes: list[float]) -> Dataset:
    """One enhanced MR object of these frames, in this order."""
    (ds,) = make(voxels[:1], places[:1])
    ds.SOPClassUID, ds.NumberOfFrames = uid.EnhancedMRImageStorage, len(voxels)
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
    ):
        delattr(ds, keyword)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "T1", "NONE"]
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(SPACING), STEP
    measures.SpacingBetweenSlices = STEP
    plane.ImageOrientationPatient = [round(float(n), 10) for n in (*ALONG, *DOWN)]
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([plane])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    rank = np.argsort(np.argsort(places @ NORMAL))
    for number, slope in enumerate(slopes):
        group, where, content, scale = Dataset(), Dataset(), Dataset(), Dataset()
        where.ImagePositionPatient = [round(float(n), 9) for n in places[number]]
        content.StackID, content.InStackPositionNumber = "1", int(rank[number]) + 1
        content.DimensionIndexValues = [1, int(rank[number]) + 1]
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = slope, 0, "US"
        group.PlanePositionSequence = Sequence([where])
        group.FrameContentSequence = Sequence([content])
        group.PixelValueTransformationSequence = Sequence([scale])
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = Sequence(groups)
    organization, indices = Dataset(), []
    organization.DimensionOrganizationUID = "1.2.3.4.7"
    ds.DimensionOrganizationSequence = Sequence([organization])
    for tag in (0x00209056, 0x00209057):
        index = Dataset()
        index.DimensionOrganizationUID, index.DimensionIndexPointer = "1.2.3.4.7", tag
        index.FunctionalGroupPointer = 0x00209111
        indices.append(index)
    ds.DimensionIndexSequence = Sequence(indices)
    ds.PixelData = voxels.tobytes()
    return ds


def mosaic(voxels: np.ndarray, places: np.ndarray) -> Dataset:
    """All slices as tiles of one picture, with the private header that tells them apart."""
    across = math.ceil(math.sqrt(len(voxels)))
    picture = np.zeros((across * ROWS, across * COLUMNS), np.uint16)
    for number, tile in enumerate(voxels):
        top, left = number // across * ROWS, number % across * COLUMNS
        picture[top : top + ROWS, left : left + COLUMNS] = tile
    corner = places[0] - ALONG * SPACING[1] * COLUMNS * (across - 1) / 2
    corner = corner - DOWN * SPACING[0] * ROWS * (across - 1) / 2
    (ds,) = make(picture[None], corner[None], Manufacturer="SIEMENS", SpacingBetweenSlices=STEP)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    normal = [f"{n:.8f}" for n in NORMAL]
    header = csa(NumberOfImagesInMosaic=[str(len(voxels))], SliceNormalVector=normal,
                 ProtocolSliceNumber=["0"])  # fmt: skip
    block = ds.private_block(0x29, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x08, "CS", "IMAGE NUM 4")
    block.add_new(0x10, "OB", header)
    return ds


def csa(**values: list[str]) -> bytes:
    """A CSA header as Siemens writes it."""
    raw = b"SV10\4\3\2\1" + struct.pack("<II", len(values), 77)
    for name, words in values.items():
        raw += struct.pack("<64sI4sIII", name.encode(), len(words), b"FD", 3, 6, 77)
        for word in [*words, *[""] * (6 - len(words))]:
            text = word.encode() + b"\0" if word else b""
            raw += struct.pack("<4I", len(text), len(text), 77, len(text)) + text
            raw += b"\0" * (-len(text) % 4)
    return raw


def segmentation() -> Dataset:
    """A binary segmentation of two segments: every frame is one segment in one slice."""
    mask = ramp()[:6] % 3 == 0
    ds = enhanced(np.zeros((6, ROWS, COLUMNS), "u1"), np.repeat(positions(3), 2, axis=0), [1.0] * 6)
    ds.SOPClassUID, ds.Modality = uid.SegmentationStorage, "SEG"
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit, ds.SegmentationType = 0, "BINARY"
    bits = np.packbits(mask.reshape(-1), bitorder="little").tobytes()
    ds.PixelData = bits + b"\0" * (len(bits) % 2)
    return ds


def structure_set() -> Dataset:
    (ds,) = make(ramp(1), positions(1))
    of_pixels = ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
                 "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation")  # fmt: skip
    for keyword in of_pixels:
        delattr(ds, keyword)
    ds.SOPClassUID, ds.Modality = uid.RTStructureSetStorage, "RTSTRUCT"
    ds.StructureSetLabel = "organs"
    return ds
