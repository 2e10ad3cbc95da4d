"""Small valid DICOM objects, the same bytes at every call."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pydicom
from corpus import Sample
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    RLELossless,
)


def _pixels(rows: int = 6, columns: int = 8, frames: int = 1) -> np.ndarray:
    values = np.arange(frames * rows * columns, dtype=np.uint16) * 37 % 4093
    return values.reshape(frames, rows, columns)


def _object(pixels: np.ndarray, number: int = 1, **elements: Any) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, f"1.2.3.4.5.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.5"
    ds.FrameOfReferenceUID, ds.Modality = "1.2.3.4.6", "MR"
    ds.PatientName, ds.PatientID = "Some^Body", "ID"
    ds.SeriesNumber, ds.InstanceNumber = 7, number
    ds.SeriesDescription, ds.AcquisitionDate = "axial", "20200101"
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [-10, -20, 5.0 * number]
    ds.PixelSpacing, ds.SliceThickness = [0.7, 0.4], 5
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelPaddingValue = 0
    ds.RescaleSlope, ds.RescaleIntercept = "2", "-1024"
    item = Dataset()
    item.CodeValue, item.CodeMeaning = "1", "one"
    ds.ProcedureCodeSequence = Sequence([item])
    ds.private_block(0x29, "VENDOR", create=True).add_new(0x10, "OB", b"some bytes")
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def _written(ds: Dataset, syntax: pydicom.uid.UID = ExplicitVRLittleEndian) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", MediaStorageDirectoryStorage)
    meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", "1.2.3")
    ds.file_meta = meta
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    if syntax.is_encapsulated:
        ds.compress(syntax, generate_instance_uid=False)
    meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    little = syntax != ExplicitVRBigEndian
    pydicom.dcmwrite(
        stream, ds, little_endian=little, implicit_vr=syntax.is_implicit_VR,
        enforce_file_format=True,
    )  # fmt: skip
    return stream.getvalue()


def _single(ds: Dataset, syntax: pydicom.uid.UID = ExplicitVRLittleEndian) -> Sample:
    raw = _written(ds, syntax)
    kind = "deflated" if syntax == DeflatedExplicitVRLittleEndian else "dicom"
    pixels = raw.rfind(b"\xe0\x7f\x10\x00")
    head = pixels + 64 if pixels > 0 else len(raw)  # deflated: there is no telling
    return Sample("a.dcm", {"a.dcm": raw}, kind, head)


def native() -> list[Sample]:
    two = {f"{n}.dcm": _written(_object(_pixels(), n)) for n in (1, 2)}
    cine = _object(_pixels(frames=3), NumberOfFrames=3)
    del cine.ImagePositionPatient, cine.ImageOrientationPatient
    bare = _written(_object(_pixels()), ImplicitVRLittleEndian)
    start = 132 + 12 + struct.unpack("<I", bare[140:144])[0]
    return [
        _single(_object(_pixels())),
        _single(_object(_pixels()), ImplicitVRLittleEndian),
        _single(_object(_pixels()), DeflatedExplicitVRLittleEndian),
        _single(_object(_pixels()), ExplicitVRBigEndian),
        _single(_object(_pixels(), PixelRepresentation=1, BitsStored=16, HighBit=15)),
        _single(cine),
        _single(_mosaic()),
        Sample("1.dcm", two, "dicom", 900),
        Sample("a.dcm", {"a.dcm": bare[start:]}, "dicom", 600),
    ]  # fmt: skip


def _mosaic() -> Dataset:
    ds = _object(_pixels(8, 8), ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])

    def tag(name: bytes, *words: bytes) -> bytes:
        items = b"".join(
            struct.pack("<4I", len(w), len(w), 77, len(w)) + w + bytes(-len(w) % 4) for w in words
        )
        return name.ljust(64, b"\0") + struct.pack("<i4s3I", 1, b"IS", 6, len(words), 77) + items

    csa = b"SV10\4\3\2\1" + struct.pack("<II", 2, 77)
    csa += tag(b"NumberOfImagesInMosaic", b"4") + tag(b"SliceNormalVector", b"0", b"0", b"1")
    block = ds.private_block(0x29, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", csa + bytes(len(csa) % 2))
    return ds


def rle() -> list[Sample]:
    return [
        _single(_object(_pixels()), RLELossless),
        _single(_object(_pixels(frames=3), NumberOfFrames=3), RLELossless),
    ]


def jpegls() -> list[Sample]:
    return [
        _single(_object(_pixels(16, 16)), JPEGLSLossless),
        _single(_object(_pixels(12, 10, 2), NumberOfFrames=2), JPEGLSLossless),
    ]


def jpeg2000() -> list[Sample]:
    return [
        _single(_object(_pixels(32, 32)), JPEG2000Lossless),
        _single(_object(_pixels(32, 36, 2), NumberOfFrames=2), JPEG2000Lossless),
    ]


def _macro(**elements: Any) -> Sequence:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return Sequence([item])


def _enhanced_object() -> Dataset:
    frames = 3
    ds = _object(_pixels(frames=frames), NumberOfFrames=frames, SOPClassUID=EnhancedMRImageStorage)
    for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing",
                    "SliceThickness", "RescaleSlope", "RescaleIntercept"):  # fmt: skip
        delattr(ds, keyword)
    ds.SharedFunctionalGroupsSequence = _macro(
        PixelMeasuresSequence=_macro(
            PixelSpacing=[0.7, 0.4], SliceThickness=5, SpacingBetweenSlices=5
        ),
        PlaneOrientationSequence=_macro(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        MRImageFrameTypeSequence=_macro(FrameType=["ORIGINAL", "PRIMARY", "M", "NONE"]),
    )
    groups = []
    for number in range(frames):
        groups += _macro(
            PlanePositionSequence=_macro(ImagePositionPatient=[-10, -20, 5.0 * number]),
            PixelValueTransformationSequence=_macro(
                RescaleSlope="2", RescaleIntercept=str(-10 * number), RescaleType="US"
            ),
            FrameContentSequence=_macro(
                StackID="1", InStackPositionNumber=number + 1, DimensionIndexValues=[1, number + 1]
            ),
        )
    ds.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return ds


def enhanced() -> list[Sample]:
    return [
        _single(_enhanced_object()),
        _single(_enhanced_object(), ImplicitVRLittleEndian),
        _single(_enhanced_object(), DeflatedExplicitVRLittleEndian),
    ]


def index() -> list[Sample]:
    images = {f"IMAGES/{n}": _written(_object(_pixels(), n)) for n in (1, 2)}
    ds = Dataset()
    ds.FileSetID = "SET"
    ds.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 300
    records = []
    for kind, parts in (
        ("PATIENT", None), ("STUDY", None), ("SERIES", None),
        ("IMAGE", ["IMAGES", "1"]), ("IMAGE", ["IMAGES", "2"]),
    ):  # fmt: skip
        record = Dataset()
        record.OffsetOfTheNextDirectoryRecord, record.RecordInUseFlag = 0, 0xFFFF
        record.DirectoryRecordType = kind
        if parts is not None:
            record.ReferencedFileID = parts
        records.append(record)
    ds.DirectoryRecordSequence = Sequence(records)
    raw = _written(ds)
    return [Sample("DICOMDIR", {"DICOMDIR": raw, **images}, "dicom", len(raw))]
