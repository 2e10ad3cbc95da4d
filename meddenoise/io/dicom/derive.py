"""The header of a derived instance: what DICOM PS3.3 asks of an image made from another.

Identity (UIDs, ImageType, dates, SeriesNumber) is new; everything about patient, study, frame of
reference, geometry, acquisition and display stays; what no longer holds is removed.
"""

from __future__ import annotations

import datetime
from copy import copy as shallow
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise._version import __version__
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.pixels import is_lossy, shift_of

__all__ = ["IMPLEMENTATION_UID", "DerivedSeries", "derive"]

#: Names this implementation in the file meta information (PS3.10 7.1), whatever the version.
IMPLEMENTATION_UID = "2.25.190146713917041640214178229583290371451"

_PREFIX = {"noise reduction": "DN", "noise simulation": "SIM", "conversion": "DRV"}
_LONG_STRING, _SHORT_TEXT = 64, 1024  # what the VRs LO and ST hold
_DROPPED = {
    0x00080001,  # LengthToEnd
    0x00880200,  # IconImageSequence: shows the old pixels
    0x04000500,  # EncryptedAttributesSequence
    0x4FFE0001,  # MACParametersSequence
    0xFFFAFFFA,  # DigitalSignaturesSequence
    0xFFFCFFFC,  # DataSetTrailingPadding
    0x00280108,  # SmallestPixelValueInSeries
    0x00280109,  # LargestPixelValueInSeries
    0x7FE00001,  # ExtendedOffsetTable
    0x7FE00002,  # ExtendedOffsetTableLengths
    0x7FE00003,  # EncapsulatedPixelDataValueTotalLength
}


@dataclass(frozen=True)
class DerivedSeries:
    """What all instances of one derived series share.

    Attributes:
        uid: the new SeriesInstanceUID.
        study: StudyInstanceUID for sources that have none.
        derivation: ``"noise reduction"``, ``"noise simulation"`` or ``"conversion"``.
        history: what was done, a line each.
        made: when.
        lossy: whether any source went through lossy compression.
        keep_private: whether private elements stay.
    """

    uid: str
    study: str
    derivation: str
    history: tuple[str, ...]
    made: datetime.datetime
    lossy: bool = False
    keep_private: bool = False

    @property
    def description(self) -> str:
        """DerivationDescription: the tool, its version, and what was done."""
        return "; ".join([f"meddenoise {__version__}", self.derivation, *self.history])


def derive(file: DicomFile, stored: NDArray, series: DerivedSeries, instance: str) -> Any:
    """A complete data set for new pixels of a source instance.

    Args:
        file: the source.
        stored: ``(frames, rows, columns)`` in the source's type and bits.
        series: what the instances share.
        instance: the new SOPInstanceUID.

    Returns:
        A ``pydicom.Dataset`` to be written in Explicit VR Little Endian.
    """
    header = _copied(file.header, keep_private=series.keep_private)
    _set_identity(header, file, series, instance)
    _set_image_type(header)
    _set_derivation(header, file, series)
    _set_equipment(header, series)
    _set_dates(header, series)
    _set_pixels(header, file, stored)
    if series.lossy or is_lossy(file):
        header.LossyImageCompression = "01"
    _set_meta(header, instance)
    return header


def _copied(source: Any, *, keep_private: bool) -> Any:
    """A copy that shares no mutable part with the source; sequences are walked."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    copy = Dataset()
    copy.set_original_encoding(*source.original_encoding, source.original_character_set)
    for tag in list(source.keys()):
        if tag in _DROPPED or tag.element == 0 or (tag.is_private and not keep_private):
            continue
        if _is_embedded_overlay(source, tag):
            continue
        element = source.get_item(tag)
        if element.VR == "SQ" or (element.VR is None and source[tag].VR == "SQ"):
            items = [_copied(item, keep_private=keep_private) for item in source[tag].value]
            copy.add_new(tag, "SQ", Sequence(items))
        else:
            # Decoded elements are mutable: setting a value would change the source's.
            copy[tag] = element if element.is_raw else shallow(element)
    return copy


def _is_embedded_overlay(source: Any, tag: Any) -> bool:
    """Overlays in unused pixel bits go with those bits; ones with data of their own stay."""
    is_overlay = 0x6000 <= tag.group <= 0x60FF and tag.group % 2 == 0
    return is_overlay and (tag.group, 0x3000) not in source


def _set_identity(header: Any, file: DicomFile, series: DerivedSeries, instance: str) -> None:
    from pydicom.uid import UID

    meta_class = file.header.file_meta.get("MediaStorageSOPClassUID")
    if not header.get("SOPClassUID"):
        header.SOPClassUID = UID(str(meta_class or _class_for(header)))
    header.SOPInstanceUID = UID(instance)
    header.SeriesInstanceUID = UID(series.uid)
    if not header.get("StudyInstanceUID"):
        header.StudyInstanceUID = UID(series.study)
    number = header.get("SeriesNumber")
    header.SeriesNumber = (int(number) if number not in (None, "") else 0) + 1000
    prefix = _PREFIX[series.derivation]
    old = str(header.get("SeriesDescription") or "").strip()
    header.SeriesDescription = f"{prefix} {old}".strip()[:_LONG_STRING].strip()


def _class_for(header: Any) -> str:
    """The classic storage class of a modality, for sources stripped of their class."""
    classes = {
        "CT": "1.2.840.10008.5.1.4.1.1.2",
        "MR": "1.2.840.10008.5.1.4.1.1.4",
        "PT": "1.2.840.10008.5.1.4.1.1.128",
        "CR": "1.2.840.10008.5.1.4.1.1.1",
    }
    secondary_capture = "1.2.840.10008.5.1.4.1.1.7"
    return classes.get(str(header.get("Modality") or ""), secondary_capture)


def _set_image_type(header: Any) -> None:
    """Value 1 says DERIVED, here and in every frame; the others stay."""
    header.ImageType = _derived(header.get("ImageType"))
    for sequence in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in header.get(sequence) or ():
            for element in group:
                if element.VR == "SQ" and element.value and "FrameType" in element.value[0]:
                    element.value[0].FrameType = _derived(element.value[0].FrameType)


def _derived(image_type: Any) -> list[str]:
    words = [image_type] if isinstance(image_type, str) else list(image_type or ())
    return ["DERIVED", *(words[1:] or ["PRIMARY"])]


def _set_derivation(header: Any, file: DicomFile, series: DerivedSeries) -> None:
    """What was done to what: for enhanced objects frame by frame, else for the whole."""
    from pydicom.sequence import Sequence

    per_frame = header.get("PerFrameFunctionalGroupsSequence")
    if per_frame is not None:
        for number, group in enumerate(per_frame, 1):
            group.DerivationImageSequence = Sequence([_frame_derivation(file, number, series)])
        header.SourceImageEvidenceSequence = Sequence([_evidence(file)])
        return
    before = str(header.get("DerivationDescription") or "").strip()
    said = f"{before}; {series.description}" if before else series.description
    # Too long for the VR: what was done now matters more than what was done before.
    header.DerivationDescription = (
        said if len(said) <= _SHORT_TEXT else series.description[:_SHORT_TEXT]
    )
    codes = [*(header.get("DerivationCodeSequence") or ()), *_derivation_codes(series.derivation)]
    header.DerivationCodeSequence = Sequence(codes)
    if file.instance:
        header.SourceImageSequence = Sequence([_source_reference(file)])


def _derivation_codes(derivation: str) -> list[Any]:
    """CID 7203 has no code for noise reduction; smoothing is the nearest (113042 is addition)."""
    if derivation == "noise reduction":
        return [_code("113087", "DCM", "Smoothing")]
    name = derivation.upper().replace(" ", "_")
    return [_code(name, "99MEDDENOISE", derivation.capitalize())]


def _evidence(file: DicomFile) -> Any:
    """The source's place in its study (PS3.3 macro 10-3), which enhanced objects must give."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    reference = _source_reference(file)
    instance = Dataset()
    instance.ReferencedSOPClassUID = reference.ReferencedSOPClassUID
    instance.ReferencedSOPInstanceUID = reference.ReferencedSOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID = file.series
    series.ReferencedSOPSequence = Sequence([instance])
    study = Dataset()
    study.StudyInstanceUID = file.header.get("StudyInstanceUID", "")
    study.ReferencedSeriesSequence = Sequence([series])
    return study


def _frame_derivation(file: DicomFile, number: int, series: DerivedSeries) -> Any:
    """The Derivation Image macro (PS3.3 C.7.6.16.2.6) of one frame."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    item = Dataset()
    item.DerivationDescription = series.description[:_SHORT_TEXT]
    item.DerivationCodeSequence = Sequence(_derivation_codes(series.derivation))
    reference = _source_reference(file)
    reference.ReferencedFrameNumber = number
    item.SourceImageSequence = Sequence([reference])
    return item


def _source_reference(file: DicomFile) -> Any:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    item = Dataset()
    meta_class = file.header.file_meta.get("MediaStorageSOPClassUID")
    item.ReferencedSOPClassUID = (
        file.header.get("SOPClassUID") or meta_class or _class_for(file.header)
    )
    item.ReferencedSOPInstanceUID = file.instance
    item.SpatialLocationsPreserved = "YES"
    item.PurposeOfReferenceCodeSequence = Sequence(
        [_code("121322", "DCM", "Source image for image processing operation")]
    )
    return item


def _code(value: str, scheme: str, meaning: str) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def _set_equipment(header: Any, series: DerivedSeries) -> None:
    """This program joins those that contributed (PS3.3 C.12.1.1.5)."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    item = Dataset()
    item.PurposeOfReferenceCodeSequence = Sequence([_code("109103", "DCM", "Modifying Equipment")])
    # Model and version stand in the description: dcm2niix takes these elements for the scanner's
    # wherever they are nested.
    item.Manufacturer = "meddenoise"
    item.ContributionDateTime = series.made.strftime("%Y%m%d%H%M%S.%f")
    item.ContributionDescription = f"meddenoise {__version__}: {series.derivation}"
    prior = list(header.get("ContributingEquipmentSequence") or ())
    header.ContributingEquipmentSequence = Sequence([*prior, item])


def _set_dates(header: Any, series: DerivedSeries) -> None:
    """When it was made; when it was acquired stays."""
    date, time = series.made.strftime("%Y%m%d"), series.made.strftime("%H%M%S.%f")
    for name in ("InstanceCreation", "Content", "Series"):
        setattr(header, f"{name}Date", date)
        setattr(header, f"{name}Time", time)


def _set_pixels(header: Any, file: DicomFile, stored: NDArray) -> None:
    bits = int(header.get("BitsStored") or header.BitsAllocated)
    header.BitsStored = bits
    if shift_of(file.header) or header.get("HighBit") in (None, ""):
        header.HighBit = bits - 1
    vr = "SS" if stored.dtype.kind == "i" else "US"
    for keyword, value in (
        ("SmallestImagePixelValue", stored.min()),
        ("LargestImagePixelValue", stored.max()),
    ):
        if keyword in header:
            del header[keyword]
            if stored.dtype.itemsize <= 2:  # these elements hold 16 bits at most
                from pydicom.datadict import tag_for_keyword

                header.add_new(tag_for_keyword(keyword), vr, int(value))
    raw = np.ascontiguousarray(stored, dtype=stored.dtype.newbyteorder("<")).tobytes()
    header.add_new(
        0x7FE00010, "OW" if stored.dtype.itemsize > 1 else "OB", raw + b"\0" * (len(raw) % 2)
    )


def _set_meta(header: Any, instance: str) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = UID(instance)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = f"MEDDENOISE_{__version__}"[:16]
    header.file_meta = meta
    header.preamble = b"\0" * 128
