"""The headers of a DICOM series, kept to derive a new series from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.frames import Frame
from meddenoise.io.dicom.pixels import quiet, syntax_name
from meddenoise.io.dicom.values import blaming, number, text, uid_name
from meddenoise.io.source import HeaderSource

__all__ = ["DicomSource"]


@dataclass(frozen=True, kw_only=True)
class DicomSource(HeaderSource):
    """The headers of a series, without pixels.

    Attributes:
        frames: ``frames[channel][slice]``.
        series: what chooses this series in its directory.
        restored: for each frame with padding, by (channel, slice): flat indices ``(n,)`` into
            its pixels and the stored values ``(n,)`` that are put back there.
        looked_through: whether ``restored`` is all there is, and not only what headers tell.
        alone: frames that lie in the same files and are none of these are written as 0, not as they
            are.
    """

    frames: tuple[tuple[Frame, ...], ...] = field(repr=False)
    series: str
    restored: dict[tuple[int, int], tuple[NDArray, NDArray]] = field(default_factory=dict)
    looked_through: bool = True
    alone: bool = False

    @property
    def format(self) -> str:
        return "dicom"

    @property
    def instances(self) -> list[DicomFile]:
        """Each file once, in the order of the slices, channel by channel."""
        seen: dict[Path, DicomFile] = {}
        for channel in self.frames:
            for frame in channel:
                seen.setdefault(frame.file.path, frame.file)
        return list(seen.values())

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(file.path for file in self.instances)

    def details(self) -> dict[str, Any]:
        with quiet(), blaming(self.path):
            return self._details()

    def _details(self) -> dict[str, Any]:
        first = self.frames[0][0]
        header = first.file.header
        syntaxes = sorted({file.transfer_syntax for file in self.instances})
        return {
            "series": self.series,
            "series_number": _plain(header, "SeriesNumber"),
            "series_description": text(header, "SeriesDescription"),
            "sop_class": _class_name(header),
            "image_type": list(first.kind),
            "transfer_syntax": ", ".join(syntax_name(uid) for uid in syntaxes),
            "photometric": text(header, "PhotometricInterpretation"),
            "bits_stored": first.storage.bits,
            "slice_thickness": _plain(header, "SliceThickness"),
            "manufacturer": text(header, "Manufacturer"),
        }


def _class_name(header: Any) -> str:
    stated = text(header, "SOPClassUID")
    return uid_name(stated) if stated else ""


def _plain(header: Any, keyword: str) -> float | int | None:
    found = number(header, keyword)
    if found is None or not math.isfinite(found):
        return None
    return int(found) if float(found).is_integer() else found
