"""A frame: one picture of a DICOM object, where it lies, and how its values are stored.

Classic objects have one frame; enhanced ones have many, whose properties stand in shared and
per-frame functional groups; a Siemens mosaic has one picture with a frame in each tile. Above
this file they are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan, FileError
from meddenoise.io.dicom.emission import slices_of
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.lookup import Lookup
from meddenoise.io.dicom.mosaic import tiles_of
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
        size: rows and columns.
        corner: the row and column at which it begins in the file's picture: not 0 in a mosaic.
        position: LPS mm of the first pixel's centre, if stated.
        orientation: ``(2, 3)``: LPS direction along a row, and down a column.
        spacing: mm between rows, and between columns.
        sized: whether the header says that spacing; else it is taken as 1.
        between: mm from one slice to the next as the header has it, 1 if it does not say.
        storage: type, scale and bits of the stored values.
        padding: stored values in this closed range are padding, if any are.
        kind: ImageType or FrameType.
        stack: StackID, by which enhanced objects tell stacks of parallel slices apart.
        order: what tells frames at one position apart, in the order of time.
    """

    file: DicomFile = field(repr=False)  # it tells of the patient
    index: int
    size: tuple[int, int]
    corner: tuple[int, int]
    position: np.ndarray | None
    orientation: np.ndarray
    spacing: tuple[float, float]
    sized: bool
    between: float
    storage: Storage
    padding: tuple[int, int] | None
    kind: tuple[str, ...]
    stack: str
    order: tuple[float, ...]

    @property
    def normal(self) -> np.ndarray:
        """LPS unit vector out of the picture, ``row x column``."""
        (a, b, c), (d, e, f) = self.orientation
        return np.array([b * f - c * e, c * d - a * f, a * e - b * d])

    def of(self, pictures: NDArray) -> NDArray:
        """This frame's view of a file's pictures ``(frames, rows, columns)``."""
        (top, left), (rows, columns) = self.corner, self.size
        return pictures[self.index, top : top + rows, left : left + columns]


def frames_of(file: DicomFile) -> list[Frame]:
    """All frames of a file, in the file's order.

    Raises:
        FileError: geometry or scale in the header make no sense.
    """
    try:
        look = Lookup(file)
        pictures = [_picture(look.at(index), index) for index in range(file.frame_count)]
        if len(pictures) == 1 and "MOSAIC" in pictures[0].kind:
            return _tiles(pictures[0])
        return _reconstructed(pictures)
    except (ValueError, TypeError, AttributeError, OverflowError, KeyError, IndexError) as error:
        raise DamagedScan(f"{file.path}: the header is damaged: {error}.") from error


def _picture(look: Lookup, index: int) -> Frame:
    orientation = look.numbers("ImageOrientationPatient", 6)
    position = look.numbers("ImagePositionPatient", 3)
    spacing = _spacing(look)
    return Frame(
        file=look.file,
        index=index,
        size=(int(look.number("Rows") or 0), int(look.number("Columns") or 0)),
        corner=(0, 0),
        position=None if orientation is None else position,
        orientation=_unit_axes(orientation, look.file),
        spacing=spacing or (1.0, 1.0),
        sized=spacing is not None,
        between=_between(look),
        storage=_storage(look),
        padding=_padding(look),
        kind=look.texts("FrameType") or look.texts("ImageType"),
        stack=" ".join(look.texts("StackID")),
        order=_order(look, index),
    )


def _tiles(picture: Frame) -> list[Frame]:
    """The slices of a mosaic, or the picture as it is where its header does not tell them."""
    tiles = tiles_of(
        picture.file, picture.size, picture.position, picture.orientation, picture.spacing,
        picture.between,
    )  # fmt: skip
    if tiles is None:
        return [picture]
    kind = tuple(word for word in picture.kind if word != "MOSAIC")
    return [
        replace(picture, size=tile.size, corner=tile.corner, position=tile.position, kind=kind)
        for tile in tiles
    ]


def _reconstructed(pictures: list[Frame]) -> list[Frame]:
    """Slices of reconstructed SPECT where they lie; other pictures as they are."""
    placed = slices_of(pictures[0].file)
    if placed is None:
        return pictures
    axes = _unit_axes(placed[0], pictures[0].file)
    return [
        replace(picture, orientation=axes, position=position)
        for picture, position in zip(pictures, placed[1], strict=True)
    ]


def _unit_axes(orientation: np.ndarray | None, file: DicomFile) -> np.ndarray:
    if orientation is None:
        return np.array([[1.0, 0, 0], [0, 1.0, 0]])
    axes = orientation.reshape(2, 3)
    lengths = np.sqrt((axes**2).sum(axis=1))
    if np.abs(lengths - 1).max() > 0.01 or abs(axes[0] @ axes[1]) > 0.01:
        raise FileError(
            f"{file.path}: ImageOrientationPatient {orientation.tolist()} is not two "
            "perpendicular unit vectors. Mend it, or export the series again."
        )
    return axes / lengths[:, None]


def _spacing(look: Lookup) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        found = look.numbers(keyword, 2)
        if found is not None and found.min() > 0:
            return float(found[0]), float(found[1])
        if found is not None:
            raise FileError(
                f"{look.file.path}: {keyword} is {found.tolist()}; sizes are positive. Mend it, or "
                "export the series again."
            )
    return None


def _between(look: Lookup) -> float:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        found = look.number(keyword)
        if found is not None and 0 < found < np.inf:
            return found
    return 1.0


def _storage(look: Lookup) -> Storage:
    path = look.file.path
    allocated = int(look.number("BitsAllocated") or 0)
    bits = int(look.number("BitsStored") or allocated)
    if not 1 <= bits <= allocated:
        raise DamagedScan(f"{path}: {bits} bits are stored in {allocated}.")
    signed = look.number("PixelRepresentation") == 1
    slope, intercept = _scale(look, "RescaleSlope", 1.0), _scale(look, "RescaleIntercept", 0.0)
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise FileError(
            f"{path}: RescaleSlope {slope:g} and RescaleIntercept {intercept:g} give no values. "
            "Mend them, or export the series again."
        )
    return Storage(np.dtype(f"{'i' if signed else 'u'}{allocated // 8}"), slope, intercept, bits)


def _scale(look: Lookup, keyword: str, default: float) -> float:
    found = look.texts(keyword)
    return float(found[0]) if found else default


def _padding(look: Lookup) -> tuple[int, int] | None:
    """PixelPaddingValue to PixelPaddingRangeLimit, as stored values of this representation."""
    value, limit = look.number("PixelPaddingValue"), look.number("PixelPaddingRangeLimit")
    if value is None or not np.isfinite(value):
        return None
    ends = [int(value), int(value if limit is None else limit)]
    if look.number("PixelRepresentation") == 1:
        allocated = int(look.number("BitsAllocated") or 0)
        # Written as unsigned by some, although the pixels are signed.
        ends = [end - 2**allocated if end >= 2 ** (allocated - 1) else end for end in ends]
    return min(ends), max(ends)


def _order(look: Lookup, index: int) -> tuple[float, ...]:
    keys = [look.number(keyword) or 0.0 for keyword in _ORDER]
    instance = look.number("InstanceNumber") or 0.0
    return (*keys, instance, float(index if look.file.frame_count > 1 else 0))
