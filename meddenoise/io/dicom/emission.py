"""Slices of reconstructed SPECT: a multi-frame object of the old kind, whose frames are slices.

Where the first slice lies stands in the detector's sequence, and the others in front of it or
behind it: DICOM PS3.3 C.8.4.11 (NM Detector) and C.8.4.15 (NM Reconstruction).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.lookup import Lookup
from meddenoise.io.dicom.values import items, number, numbers, text, texts

__all__ = ["slices_of"]

_NUCLEAR_MEDICINE = "1.2.840.10008.5.1.4.1.1.20"
_KINDS = {"RECON TOMO", "RECON GATED TOMO"}


def slices_of(file: DicomFile) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Orientation ``(6,)`` and the LPS mm ``(frames, 3)`` of each frame's first pixel.

    ``None`` for other objects, and where the header does not tell all that is needed.

    Raises:
        FileError: numbers in the header make no sense.
    """
    header = file.header
    if text(header, "SOPClassUID") != _NUCLEAR_MEDICINE:
        return None
    if not _KINDS & {*texts(header, "ImageType")}:
        return None
    detector = next(iter(items(header, "DetectorInformationSequence")), header)
    orientation, first = _stated(file, detector)
    step = number(header, "SpacingBetweenSlices") or number(header, "SliceThickness")
    vector = numbers(header, "SliceVector")
    if orientation is None or first is None or not step or vector is None:
        return None
    places = np.array(vector)
    if len(places) != file.frame_count or not np.isfinite([step, *places]).all():
        raise DamagedScan(
            f"{file.path}: SliceVector and SpacingBetweenSlices do not tell where each of its "
            f"{file.frame_count} frames lies."
        )
    normal = np.cross(orientation[:3], orientation[3:])
    normal /= np.linalg.norm(normal) or 1.0
    # The sign of the step counts: below 0 the others lie in front of the first.
    return orientation, first + (places[:, None] - 1) * step * normal


def _stated(
    file: DicomFile, detector: object
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """What the detector's item says, or else, as some write it, the header itself."""
    for header in (detector, file.header):
        look = Lookup(replace(file, header=header))
        orientation = look.numbers("ImageOrientationPatient", 6)
        position = look.numbers("ImagePositionPatient", 3)
        if orientation is not None and position is not None:
            return orientation, position
    return None, None
