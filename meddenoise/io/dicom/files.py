"""One DICOM file's header."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from meddenoise.errors import DamagedScan, FileError
from meddenoise.io.dicom.parsing import PixelPlace, parse, parse_start
from meddenoise.io.dicom.seen import remember, without_others
from meddenoise.io.dicom.values import number, tag_of, text, texts
from meddenoise.io.formats import not_a_scan, sniff
from meddenoise.io.quiet import quiet

__all__ = ["DamagedFile", "DicomFile", "open_files", "open_header"]


@dataclass(frozen=True, eq=False)
class DicomFile:
    """A file, its data set up to, and without, the pixels, and where those are."""

    path: Path
    header: Any
    pixels: PixelPlace | None = None

    @cached_property
    def series(self) -> str:
        """SeriesInstanceUID, ``""`` where an anonymiser has emptied it."""
        return text(self.header, "SeriesInstanceUID")

    @property
    def family(self) -> str:
        """What files of one series share; a directory where the UID is missing."""
        return self.series or str(self.path.parent)

    @cached_property
    def instance(self) -> str:
        """SOPInstanceUID; where an anonymiser has emptied it, the file meta information's."""
        stated = text(self.header, "SOPInstanceUID")
        return stated or text(self.header.file_meta, "MediaStorageSOPInstanceUID")

    @cached_property
    def place(self) -> tuple[str, ...]:
        """Where it says that it lies; as it is spelt, for copies are spelt alike.

        Files of one SOPInstanceUID at several places are no copies: some programs give all slices
        the same.
        """
        position = texts(self.header, "ImagePositionPatient")
        return (*position, text(self.header, "InstanceNumber"))

    @cached_property
    def frame_count(self) -> int:
        """NumberOfFrames, 1 for single-frame objects."""
        return int(number(self.header, "NumberOfFrames") or 1)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the whole picture."""
        rows, columns = number(self.header, "Rows"), number(self.header, "Columns")
        return int(rows or 0), int(columns or 0)

    @cached_property
    def transfer_syntax(self) -> str:
        """The transfer syntax' UID."""
        return text(self.header.file_meta, "TransferSyntaxUID")

    @cached_property
    def meta_class(self) -> str:
        """The SOP class that the file meta information names."""
        return text(self.header.file_meta, "MediaStorageSOPClassUID")


def open_header(path: Path) -> DicomFile:
    """Parse a file up to its pixels.

    Raises:
        FileError: not DICOM, or damaged.
    """
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    try:
        with quiet():  # odd values in foreign headers are no news
            header, place = parse(path)
            if "TransferSyntaxUID" not in header.file_meta:
                implicit = bool(header.original_encoding[0])
                header.file_meta.TransferSyntaxUID = (
                    ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
                )
            file = DicomFile(path, header, place)
            known = "Rows" in header or "SOPClassUID" in header or "Modality" in header
            known = known or bool(file.meta_class)
            # Whatever is asked of every file is looked at here, where a fault has a name.
            _ = file.series, file.instance, file.frame_count, file.transfer_syntax, file.meta_class
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error
    except FileError:
        raise
    except Exception as error:  # pydicom raises nearly anything on damaged data
        raise DamagedScan(f"{path} is damaged DICOM: {error}.") from error
    if not known:
        raise DamagedScan(f"{path} is no DICOM object: it names no class and no image.")
    return file


@dataclass(frozen=True)
class DamagedFile:
    """A file that is no readable image, and the series that it was part of, if it still says so."""

    path: Path
    error: FileError
    series: str | None

    @property
    def note(self) -> str:
        """That it was passed over, and why."""
        return f"A damaged file was passed over: {self.error}"


def open_files(
    paths: list[Path], series: str | None = None
) -> tuple[list[DicomFile], list[tuple[Path, str]], list[DamagedFile]]:
    """The images among DICOM files, what else there is and why it is no image, and the damaged.

    Nothing is dropped unseen: a damaged file may be a slice of the series that is asked for.

    Args:
        paths: the files.
        series: those that were seen to be of another are left out; see
            :func:`meddenoise.io.dicom.seen.without_others`.
    """
    from meddenoise.io.dicom.kinds import refusal

    images: list[DicomFile] = []
    others: list[tuple[Path, str]] = []
    damaged: list[DamagedFile] = []
    for path in without_others(paths, series):
        try:
            file = open_header(path)
            remember(path, file.series)
            reason = refusal(file)
        except FileError as error:
            damaged.append(_damage(path, error))
            continue
        if reason is None:
            images.append(file)
        else:
            others.append((path, reason))
    return images, others, damaged


def _damage(path: Path, error: FileError) -> DamagedFile:
    """With a plainer error where a file is DICOM by no more than its name."""
    kind = sniff(path)
    if kind is None:
        return DamagedFile(path, not_a_scan(path, kind), None)
    return DamagedFile(path, error, _series_before_the_damage(path))


def _series_before_the_damage(path: Path) -> str | None:
    """SeriesInstanceUID of a file that cannot be parsed as a whole; ``None`` if it is lost."""
    try:
        with quiet():
            header = parse_start(path, last=tag_of("SeriesInstanceUID"))
            return text(header, "SeriesInstanceUID") or None
    except Exception:  # pydicom raises nearly anything on damaged data
        return None
