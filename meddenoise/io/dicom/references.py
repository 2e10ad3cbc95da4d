"""Codes and references: what a derived image was made from, by what and how."""

from __future__ import annotations

from typing import Any

from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.values import text

__all__ = ["class_of", "code", "derivation_codes", "evidence", "source_reference"]

_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def class_of(file: DicomFile) -> str:
    """The SOP class; for sources stripped of it the classic one of their modality."""
    stated = text(file.header, "SOPClassUID") or file.meta_class
    return stated or _CLASSES.get(text(file.header, "Modality"), _SECONDARY_CAPTURE)


def code(value: str, scheme: str, meaning: str) -> Any:
    """A code sequence item."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def derivation_codes(derivation: str) -> list[Any]:
    """CID 7203 has no code for noise reduction; smoothing is the nearest (113042 is addition).

    A code of our own beside it would be right too, but dciodvfy warns of a scheme that it does not
    know. For what has no near code it is all there is.
    """
    if derivation == "noise reduction":
        return [code("113087", "DCM", "Smoothing")]
    if derivation == "copy":
        return [code("113091", "DCM", "Spatially-related frames extracted from the volume")]
    name = derivation.upper().replace(" ", "_")
    return [code(name, "99MEDDENOISE", derivation.capitalize())]


def source_reference(file: DicomFile) -> Any:
    """An item of SourceImageSequence: the source, pixel for pixel at the same place."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    item = Dataset()
    item.ReferencedSOPClassUID = class_of(file)
    item.ReferencedSOPInstanceUID = file.instance
    item.SpatialLocationsPreserved = "YES"
    item.PurposeOfReferenceCodeSequence = Sequence(
        [code("121322", "DCM", "Source image for image processing operation")]
    )
    return item


def evidence(file: DicomFile) -> Any:
    """The source's place in its study (PS3.3 macro 10-3), which enhanced objects must give."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    instance = Dataset()
    instance.ReferencedSOPClassUID = class_of(file)
    instance.ReferencedSOPInstanceUID = file.instance
    series = Dataset()
    series.SeriesInstanceUID = file.series
    series.ReferencedSOPSequence = Sequence([instance])
    study = Dataset()
    study.StudyInstanceUID = text(file.header, "StudyInstanceUID")
    study.ReferencedSeriesSequence = Sequence([series])
    return study
