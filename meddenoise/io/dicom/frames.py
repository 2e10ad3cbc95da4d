"""A frame: one picture of a DICOM object, where it lies, and how its values are stored.

Classic objects have one frame; enhanced ones have many, whose properties stand in shared and
per-frame functional groups. Above this file the two are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from meddenoise.errors import FileError
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.storage import Storage

__all__ = ["Frame", "frames_of"]

_ORDER = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "EchoNumbers",
    "EffectiveEchoTime",
    "EchoTime",
    "DiffusionBValue",
    "AcquisitionNumber",
    "TriggerTime",
)


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture.

    Attributes:
        file: the file it is in.
        index: which frame of the file, from 0.
        position: LPS mm of the first pixel's centre, if stated.
        orientation: ``(2, 3)``: LPS direction along a row, and down a column.
        spacing: mm between rows, and between columns.
        storage: type, scale and bits of the stored values.
        padding: stored values in this closed range are padding, if any are.
        kind: ImageType or FrameType.
        order: what tells frames at one position apart, in the order of time.
    """

    file: DicomFile
    index: int
    position: np.ndarray | None
    orientation: np.ndarray
    spacing: tuple[float, float]
    storage: Storage
    padding: tuple[int, int] | None
    kind: tuple[str, ...]
    order: tuple[float, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.file.header.Rows), int(self.file.header.Columns)

    @property
    def normal(self) -> np.ndarray:
        """LPS unit vector out of the picture, ``row x column``."""
        return np.cross(self.orientation[0], self.orientation[1])


class _Lookup:
    """Attributes of one frame: its functional groups first, then the object itself."""

    def __init__(self, file: DicomFile, index: int) -> None:
        header = file.header
        self.path = file.path
        self.header = header
        self.groups: list[Any] = []
        shared = header.get("SharedFunctionalGroupsSequence")
        frames = header.get("PerFrameFunctionalGroupsSequence")
        if frames and index < len(frames):
            self.groups.append(frames[index])
        if shared:
            self.groups.append(shared[0])

    def get(self, keyword: str, macro: str | None = None) -> Any:
        """A value, looked for in the functional group ``macro`` before the top level."""
        if macro is not None:
            for group in self.groups:
                items = group.get(macro)
                if items and items[0].get(keyword) is not None:
                    return items[0].get(keyword)
        return self.header.get(keyword)

    def anywhere(self, keyword: str) -> Any:
        """A value from any functional group of the frame."""
        for group in self.groups:
            for element in group:
                if element.VR == "SQ" and element.value and not element.tag.is_private:
                    value = element.value[0].get(keyword)
                    if value is not None:
                        return value
        return self.header.get(keyword)

    def numbers(self, keyword: str, macro: str | None, count: int) -> np.ndarray | None:
        """``count`` finite numbers, or ``None`` if absent.

        Raises:
            FileError: a wrong count, or no numbers.
        """
        value = self.get(keyword, macro)
        if value is None or value == "" or (hasattr(value, "__len__") and len(value) == 0):
            return None
        try:
            found = np.array([float(x) for x in value])
        except (TypeError, ValueError) as error:
            raise FileError(f"{self.path}: {keyword} is {value!r}, no numbers.") from error
        if len(found) != count or not np.isfinite(found).all():
            raise FileError(f"{self.path}: {keyword} is {value!r}, not {count} finite numbers.")
        return found


def frames_of(file: DicomFile) -> list[Frame]:
    """All frames of a file, in the file's order.

    Raises:
        FileError: geometry or scale in the header make no sense.
    """
    try:
        return [_frame(file, index) for index in range(file.frame_count)]
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise FileError(f"{file.path}: the header is damaged: {error}.") from error


def _frame(file: DicomFile, index: int) -> Frame:
    look = _Lookup(file, index)
    orientation = look.numbers("ImageOrientationPatient", "PlaneOrientationSequence", 6)
    position = look.numbers("ImagePositionPatient", "PlanePositionSequence", 3)
    kind = look.get("FrameType") or look.anywhere("FrameType") or look.get("ImageType") or ()
    kind = (kind,) if isinstance(kind, str) else tuple(str(word).strip() for word in kind)
    return Frame(
        file=file,
        index=index,
        position=None if orientation is None else position,
        orientation=_unit_axes(orientation, file),
        spacing=_spacing(look),
        storage=_storage(look),
        padding=_padding(look),
        kind=kind,
        order=_order(look, index, file.frame_count),
    )


def _unit_axes(orientation: np.ndarray | None, file: DicomFile) -> np.ndarray:
    if orientation is None:
        return np.array([[1.0, 0, 0], [0, 1.0, 0]])
    axes = orientation.reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(axes[0] @ axes[1]) > 0.01:
        raise FileError(
            f"{file.path}: ImageOrientationPatient {orientation.tolist()} is not two "
            "perpendicular unit vectors."
        )
    return axes / lengths[:, None]


def _spacing(look: _Lookup) -> tuple[float, float]:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        found = look.numbers(keyword, "PixelMeasuresSequence", 2)
        if found is not None and found.min() > 0:
            return float(found[0]), float(found[1])
        if found is not None:
            raise FileError(f"{look.path}: {keyword} is {found.tolist()}; sizes are positive.")
    return 1.0, 1.0


def _storage(look: _Lookup) -> Storage:
    header = look.header
    allocated = int(header.BitsAllocated)
    bits = int(header.get("BitsStored") or allocated)
    if not 1 <= bits <= allocated:
        raise FileError(f"{look.path}: {bits} bits are stored in {allocated}.")
    signed = int(header.get("PixelRepresentation") or 0) == 1
    macro = "PixelValueTransformationSequence"
    slope, intercept = look.get("RescaleSlope", macro), look.get("RescaleIntercept", macro)
    slope = 1.0 if slope in (None, "") else float(slope)
    intercept = 0.0 if intercept in (None, "") else float(intercept)
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise FileError(
            f"{look.path}: RescaleSlope {slope:g} and RescaleIntercept {intercept:g} give no "
            "values."
        )
    return Storage(np.dtype(f"{'i' if signed else 'u'}{allocated // 8}"), slope, intercept, bits)


def _padding(look: _Lookup) -> tuple[int, int] | None:
    """PixelPaddingValue to PixelPaddingRangeLimit, as stored values of this representation."""
    value = look.header.get("PixelPaddingValue")
    if value is None or value == "" or isinstance(value, (bytes, str)):
        return None
    limit = look.header.get("PixelPaddingRangeLimit")
    ends = [int(value), int(value if limit in (None, "") else limit)]
    if int(look.header.get("PixelRepresentation") or 0) == 1:
        allocated = int(look.header.BitsAllocated)
        # Written as unsigned by some, although the pixels are signed.
        ends = [end - 2**allocated if end >= 2 ** (allocated - 1) else end for end in ends]
    return min(ends), max(ends)


def _order(look: _Lookup, index: int, count: int) -> tuple[float, ...]:
    keys = [_as_number(look.anywhere(keyword)) for keyword in _ORDER]
    instance = _as_number(look.header.get("InstanceNumber"))
    return (*keys, instance, float(index if count > 1 else 0))


def _as_number(value: Any) -> float:
    try:
        if hasattr(value, "__len__") and not isinstance(value, str):
            value = value[0]
        return float(value)
    except (TypeError, ValueError, IndexError):
        return 0.0
