"""What an enhanced MR object says of its acquisition and a derived one leaves to its source.

The MR Pulse Sequence and Bulk Motion Synchronization modules (PS3.3 C.8.13.4, C.7.6.18.3) are
required where ImageType says ORIGINAL or MIXED. By the standard DERIVED images may have them too,
but dciodvfy (of 2022) calls each of their elements an error there. Every derived frame refers to
its source frame, which has them. Echo times, flip angles and the like stand in functional groups,
and stay.
"""

from __future__ import annotations

from typing import Any

from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.references import class_of
from meddenoise.io.dicom.values import text

__all__ = ["drop_acquisition_modules", "left_to_the_source"]

_ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
_OF_ACQUISITIONS = (
    "PulseSequenceName",
    "MRAcquisitionType",
    "EchoPulseSequence",
    "MultipleSpinEcho",
    "MultiPlanarExcitation",
    "PhaseContrast",
    "VelocityEncodingAcquisitionSequence",
    "TimeOfFlightContrast",
    "ArterialSpinLabelingContrast",
    "SteadyStatePulseSequence",
    "EchoPlanarPulseSequence",
    "SaturationRecovery",
    "SpectrallySelectedSuppression",
    "OversamplingPhase",
    "GeometryOfKSpaceTraversal",
    "RectilinearPhaseEncodeReordering",
    "SegmentedKSpaceTraversal",
    "CoverageOfKSpace",
    "NumberOfKSpaceTrajectories",
    "BulkMotionCompensationTechnique",
    "BulkMotionSignalSource",
)


def left_to_the_source(file: DicomFile) -> tuple[str, ...]:
    """Keywords of a source's elements that an object derived from it does not repeat."""
    if class_of(file) != _ENHANCED_MR or text(file.header, "ImageType") == "DERIVED":
        return ()
    return tuple(keyword for keyword in _OF_ACQUISITIONS if keyword in file.header)


def drop_acquisition_modules(header: Any, file: DicomFile) -> None:
    """Take those elements of ``file`` out of a header made from it, if its ImageType is DERIVED."""
    if header.ImageType[0] != "DERIVED":
        return
    left = left_to_the_source(file)
    for keyword in left:
        delattr(header, keyword)
    if "EchoPulseSequence" not in left:
        return
    # Spoiling is allowed in derived frames beside a gradient EchoPulseSequence only (C.8-92).
    for sequence in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in header.get(sequence) or ():
            for modifier in group.get("MRModifierSequence") or ():
                modifier.pop("Spoiling", None)
