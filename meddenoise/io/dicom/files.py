"""One DICOM file's header."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from meddenoise.errors import FileError

__all__ = ["DicomFile", "check_claim", "open_files", "open_header", "refusal"]

# SOP classes whose pixels are no intensities, or that have none.
_NO_INTENSITIES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "a label map segmentation",
    "1.2.840.10008.5.1.4.1.1.481.3": "a radiotherapy structure set",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose",
    "1.2.840.10008.5.1.4.1.1.481.5": "a radiotherapy plan",
    "1.2.840.10008.5.1.4.1.1.77.1.6": "a whole-slide microscopy image",
    "1.2.840.10008.1.3.10": "a DICOMDIR index",
    "1.2.840.10008.5.1.4.1.1.30": "a parametric map",
}

_NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"}
_MOST_EXPANSION = 4096  # beyond this a claim about compressed pixels is not believed
_FREE_BYTES = 1 << 26


@dataclass(frozen=True, eq=False)
class DicomFile:
    """A file and its data set up to, and without, the pixels."""

    path: Path
    header: Any

    @property
    def series(self) -> str:
        """SeriesInstanceUID, ``""`` where an anonymiser has emptied it."""
        return str(self.header.get("SeriesInstanceUID") or "")

    @property
    def family(self) -> str:
        """What files of one series share; a directory where the UID is missing."""
        return self.series or str(self.path.parent)

    @property
    def instance(self) -> str:
        """SOPInstanceUID."""
        return str(self.header.get("SOPInstanceUID") or "")

    @property
    def frame_count(self) -> int:
        """NumberOfFrames, 1 for single-frame objects."""
        return int(self.header.get("NumberOfFrames") or 1)

    @property
    def transfer_syntax(self) -> str:
        """The transfer syntax' UID."""
        return str(self.header.file_meta.TransferSyntaxUID)


def open_header(path: Path) -> DicomFile:
    """Parse a file up to its pixels.

    Raises:
        FileError: not DICOM, or damaged.
    """
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values in foreign headers are no news
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            if "TransferSyntaxUID" not in header.file_meta:
                implicit = bool(header.original_encoding[0])
                header.file_meta.TransferSyntaxUID = (
                    ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
                )
            known = "Rows" in header or "SOPClassUID" in header or "Modality" in header
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # pydicom raises nearly anything on damaged data
        raise FileError(f"{path} is damaged DICOM: {error}.") from error
    if not known and not header.file_meta.get("MediaStorageSOPClassUID"):
        raise FileError(f"{path} is no DICOM object: it names no class and no image.")
    return DicomFile(path, header)


def refusal(file: DicomFile) -> str | None:
    """Why a file is passed over: what it is instead of a grey image; ``None`` for an image.

    Raises:
        FileError: it claims to be an image and lacks what every image has.
    """
    from pydicom.uid import UID

    header = file.header
    meta_class = header.file_meta.get("MediaStorageSOPClassUID", "")
    sop_class = str(header.get("SOPClassUID") or meta_class)
    if sop_class in _NO_INTENSITIES:
        return _NO_INTENSITIES[sop_class]
    if not header.get("Rows") or not header.get("Columns"):
        name = UID(sop_class).name if sop_class else "an object"
        if name.endswith("Image Storage") or UID(str(meta_class)).name.endswith("Image Storage"):
            raise FileError(f"{file.path} is damaged: it says it is an image and has no size.")
        return f"{name}, which has no image"
    photometric = str(header.get("PhotometricInterpretation") or "MONOCHROME2").strip()
    if not photometric.startswith("MONOCHROME") or int(header.get("SamplesPerPixel") or 1) != 1:
        return f"a colour image ({photometric})"
    if int(header.get("BitsAllocated") or 0) not in (8, 16, 32):
        return f"an image of {header.get('BitsAllocated')} bits a pixel or of floats"
    check_claim(file)
    return None


def check_claim(file: DicomFile) -> None:
    """Memory is taken only for what the file can hold.

    Raises:
        FileError: the header claims more pixels.
    """
    sizes = (file.header.Rows, file.header.Columns, file.header.BitsAllocated, file.frame_count)
    claimed = int(np.prod([float(n) for n in sizes])) // 8
    held = file.path.stat().st_size
    most = held if file.transfer_syntax in _NATIVE else held * _MOST_EXPANSION + _FREE_BYTES
    if claimed > most or min(sizes) < 1:
        raise FileError(
            f"{file.path}: the header claims {claimed:,} bytes of pixels, but the file has only "
            f"{held:,}: it is truncated or damaged."
        )


def open_files(
    paths: list[Path],
) -> tuple[list[DicomFile], list[tuple[Path, str]], list[FileError]]:
    """The images among DICOM files, what else there is and why it is no image, and the damaged.

    Nothing is dropped unseen: a damaged file may be a slice of the series that is asked for.
    """
    images: list[DicomFile] = []
    others: list[tuple[Path, str]] = []
    damaged: list[FileError] = []
    for path in paths:
        try:
            file = open_header(path)
            reason = refusal(file)
        except FileError as error:
            damaged.append(error)
            continue
        if reason is None:
            images.append(file)
        else:
            others.append((path, reason))
    return images, others, damaged
