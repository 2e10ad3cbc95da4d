"""The header of a derived instance: what DICOM PS3.3 asks of an image made from another.

Identity (UIDs, ImageType, dates, SeriesNumber) is new; everything about patient, study, frame of
reference, geometry, acquisition and display stays; what no longer holds is removed.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from meddenoise._version import __version__
from meddenoise.io.dicom.acquisition import drop_acquisition_modules
from meddenoise.io.dicom.copying import copied
from meddenoise.io.dicom.encoding import COMPRESSIONS, set_pixels
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.image_type import set_image_types
from meddenoise.io.dicom.pixels import is_lossy, shift_of
from meddenoise.io.dicom.references import (
    class_of,
    code,
    derivation_codes,
    evidence,
    source_reference,
)
from meddenoise.io.dicom.values import number, tag_of, texts

__all__ = ["IMPLEMENTATION_UID", "DerivedSeries", "derive"]

#: Names this implementation in the file meta information (PS3.10 7.1), whatever the version.
IMPLEMENTATION_UID = "2.25.190146713917041640214178229583290371451"

_PREFIX = {"noise reduction": "DN", "noise simulation": "SIM", "conversion": "DRV"}
_LONG_STRING, _SHORT_TEXT = 64, 1024  # what the VRs LO and ST hold
_LARGEST_INTEGER = 2**31 - 1  # of the VR IS


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
        compress: ``"rle"``, ``"jpegls"``, ``"jpeg2000"`` or ``None``.
    """

    uid: str
    study: str
    derivation: str
    history: tuple[str, ...]
    made: datetime.datetime
    lossy: bool = False
    keep_private: bool = False
    compress: str | None = None

    @property
    def description(self) -> str:
        """DerivationDescription: the tool, its version, and what was done."""
        return "; ".join([f"meddenoise {__version__}", self.derivation, *self.history])

    @cached_property
    def codes(self) -> list[Any]:
        """Items of DerivationCodeSequence."""
        return derivation_codes(self.derivation)

    @cached_property
    def equipment(self) -> Any:
        """This program among those that contributed (PS3.3 C.12.1.1.5)."""
        from pydicom.dataset import Dataset
        from pydicom.sequence import Sequence

        item = Dataset()
        purpose = code("109103", "DCM", "Modifying Equipment")
        item.PurposeOfReferenceCodeSequence = Sequence([purpose])
        # Model and version stand in the description: dcm2niix takes these elements for the
        # scanner's wherever they are nested.
        item.Manufacturer = "meddenoise"
        item.ContributionDateTime = self.made.strftime("%Y%m%d%H%M%S.%f")
        item.ContributionDescription = f"meddenoise {__version__}: {self.derivation}"
        return item


def derive(
    file: DicomFile,
    stored: NDArray,
    series: DerivedSeries,
    instance: str,
    new: Collection[int] | None = None,
) -> Any:
    """A complete data set for new pixels of a source instance.

    Args:
        file: the source.
        stored: ``(frames, rows, columns)`` in the source's type and bits.
        series: what the instances share.
        instance: the new SOPInstanceUID.
        new: which frames, from 0, are new; the others are copies, and in enhanced objects are not
            called derived. ``None``: all are new.

    Returns:
        A ``pydicom.Dataset`` to be written in an explicit little-endian transfer syntax.

    Raises:
        OutputError: the pixels cannot be compressed as asked.
    """
    header = copied(file.header, keep_private=series.keep_private)
    frames = range(file.frame_count) if new is None else sorted(new)
    set_image_types(header, frames)
    drop_acquisition_modules(header, file)
    _set_identity(header, file, series, instance)
    _set_derivation(header, file, series, frames)
    _set_equipment(header, series)
    _set_dates(header, series)
    _set_pixel_description(header, file, stored)
    if series.lossy or is_lossy(file):
        header.LossyImageCompression = "01"
    _set_meta(header, instance)
    set_pixels(header, stored, series.compress)
    if series.compress is not None:
        from pydicom.uid import UID

        header.file_meta.TransferSyntaxUID = UID(COMPRESSIONS[series.compress])
    return header


def _set_identity(header: Any, file: DicomFile, series: DerivedSeries, instance: str) -> None:
    from pydicom.uid import UID

    header.SOPClassUID = UID(class_of(file))
    header.SOPInstanceUID = UID(instance)
    header.SeriesInstanceUID = UID(series.uid)
    if not header.get("StudyInstanceUID"):
        header.StudyInstanceUID = UID(series.study)
    before = number(header, "SeriesNumber")  # the first of several; some write text
    header.pop(tag_of("SeriesNumber"), None)  # which pydicom would read before it replaces it
    known = before if before is not None and math.isfinite(before) else 0
    header.SeriesNumber = int(max(-_LARGEST_INTEGER, min(known + 1000, _LARGEST_INTEGER)))
    prefix = _PREFIX[series.derivation]
    old = "\\".join(texts(header, "SeriesDescription"))  # which some write a backslash into
    header.SeriesDescription = f"{prefix} {old}".strip()[:_LONG_STRING].strip()


def _set_derivation(
    header: Any, file: DicomFile, series: DerivedSeries, frames: Collection[int]
) -> None:
    """What was done to what: for enhanced objects frame by frame, else for the whole."""
    from pydicom.sequence import Sequence

    per_frame = header.get("PerFrameFunctionalGroupsSequence")
    if per_frame is not None:
        for index, group in enumerate(per_frame):
            made = _frame_derivation(file, index + 1, series, new=index in frames)
            group.DerivationImageSequence = Sequence([made])
        header.SourceImageEvidenceSequence = Sequence([evidence(file)])
        return
    before = str(header.get("DerivationDescription") or "").strip()
    said = f"{before}; {series.description}" if before else series.description
    # Too long for the VR: what was done now matters more than what was done before.
    header.DerivationDescription = (
        said if len(said) <= _SHORT_TEXT else series.description[:_SHORT_TEXT]
    )
    codes = [*(header.get("DerivationCodeSequence") or ()), *series.codes]
    header.DerivationCodeSequence = Sequence(codes)
    if file.instance:
        header.SourceImageSequence = Sequence([source_reference(file)])


def _frame_derivation(file: DicomFile, number: int, series: DerivedSeries, *, new: bool) -> Any:
    """The Derivation Image macro (PS3.3 C.7.6.16.2.6) of one frame."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    item = Dataset()
    said = series.description if new else f"meddenoise {__version__}; copied as it was"
    item.DerivationDescription = said[:_SHORT_TEXT]
    item.DerivationCodeSequence = Sequence(series.codes if new else derivation_codes("copy"))
    reference = source_reference(file)
    reference.ReferencedFrameNumber = number
    item.SourceImageSequence = Sequence([reference])
    return item


def _set_equipment(header: Any, series: DerivedSeries) -> None:
    from pydicom.sequence import Sequence

    prior = list(header.get("ContributingEquipmentSequence") or ())
    header.ContributingEquipmentSequence = Sequence([*prior, series.equipment])


def _set_dates(header: Any, series: DerivedSeries) -> None:
    """When it was made; when it was acquired stays."""
    date, time = series.made.strftime("%Y%m%d"), series.made.strftime("%H%M%S.%f")
    for name in ("InstanceCreation", "Content", "Series"):
        setattr(header, f"{name}Date", date)
        setattr(header, f"{name}Time", time)


def _set_pixel_description(header: Any, file: DicomFile, stored: NDArray) -> None:
    from pydicom.datadict import tag_for_keyword

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
                header.add_new(tag_for_keyword(keyword), vr, int(value))


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
