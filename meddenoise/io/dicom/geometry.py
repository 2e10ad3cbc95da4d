"""The order of slices along their normal, the grid they make, and what is irregular about it.

All here is in DICOM's patient space (LPS, mm); only the affine that is handed out is RAS+.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddenoise.io.dicom.frames import Frame

__all__ = ["LPS_TO_RAS", "UNSIZED", "Grid", "grid_of", "same_place", "slice_offsets"]

_SAME_PLACE = 0.005
#: Said of frames that do not say their spacing.
UNSIZED = "The header does not say how large the pixels are; they are taken as 1 mm."
_TILT_DEGREES = 0.1
#: Turns DICOM's patient axes into NIfTI's, and back.
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Grid:
    """A stack of slices as a grid.

    Attributes:
        affine: ``(4, 4)``, (column, row, slice) index to RAS+ mm; the best fit if irregular.
        irregular: sentences; empty for a regular upright grid.
    """

    affine: NDArray[np.float64]
    irregular: tuple[str, ...]


def same_place(frame: Frame) -> float:
    """Positions closer than this (mm) are the same place: less where micro-CT has finer pixels."""
    return min(_SAME_PLACE, 0.1 * min(frame.spacing))


def slice_offsets(frames: list[Frame]) -> NDArray[np.float64]:
    """Where each frame lies along the normal of the first, in mm; NaN if it does not say."""
    normal = frames[0].normal
    unknown = np.full(3, np.nan)
    places = [unknown if frame.position is None else frame.position for frame in frames]
    return np.array([place @ normal for place in places])


def grid_of(stack: list[Frame]) -> Grid:
    """The grid of frames that are sorted along their normal."""
    first = stack[0]
    row_direction, column_direction = first.orientation
    row_spacing, column_spacing = first.spacing
    origin = np.zeros(3) if first.position is None else first.position
    step, irregular = _step(stack)
    if not first.sized and len(stack) > 1:
        irregular = (*irregular, UNSIZED)
    affine = np.eye(4)
    affine[:3, 0] = row_direction * column_spacing
    affine[:3, 1] = column_direction * row_spacing
    affine[:3, 2] = step
    affine[:3, 3] = origin
    return Grid(LPS_TO_RAS @ affine, irregular)


def _step(stack: list[Frame]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """From one slice to the next, and why that is not true everywhere."""
    first = stack[0]
    nominal = first.normal * first.between
    if len(stack) == 1:
        return nominal, ()
    if first.position is None:
        return nominal, ("The slices do not say where they lie.",)
    places = np.array([frame.position for frame in stack])
    offsets = places @ first.normal
    gaps, near = np.diff(offsets), same_place(first)
    irregular = []
    duplicates = int((gaps < near).sum())
    if duplicates:
        irregular.append(f"{duplicates} slices lie where another does.")
    if offsets[-1] - offsets[0] < near:
        return nominal, tuple(irregular)
    step = (places[-1] - places[0]) / (len(stack) - 1)
    irregular += _unevenness(places, gaps, step, near)
    tilt = np.degrees(np.arccos(np.clip(step @ first.normal / np.linalg.norm(step), -1, 1)))
    if tilt > _TILT_DEGREES:
        irregular.append(f"The slices are sheared by {tilt:.1f} degrees (gantry tilt).")
    return step, tuple(irregular)


def _unevenness(places: NDArray, gaps: NDArray, step: NDArray, near: float) -> list[str]:
    fitted = places[0] + np.arange(len(places))[:, None] * step
    with np.errstate(over="ignore"):  # damage puts a slice anywhere
        off = np.linalg.norm(places - fitted, axis=1).max()
    if off <= 0.02 * np.linalg.norm(step) + near:
        return []
    usual = float(np.median(gaps))
    wide = np.flatnonzero(gaps > 1.5 * usual)
    narrow = gaps[gaps >= near]
    if gaps.max() - gaps.min() <= 0.02 * usual + near:
        return [f"The slices are shifted against each other by up to {off:.2f} mm in their plane."]
    if 0 < len(narrow) < len(gaps) and narrow.max() - narrow.min() <= 0.02 * narrow.min() + near:
        return []  # but for those at one place, which is said, they lie evenly
    if usual > 0 and len(wide) and np.allclose(np.delete(gaps, wide), usual, rtol=0.02, atol=0.02):
        missing = int(np.rint(gaps[wide] / usual - 1).sum())
        return [
            f"About {missing} slices are missing: {len(wide)} gaps of up to {gaps.max():.2f} mm "
            f"in a stack {usual:.2f} mm apart."
        ]
    return [f"The slices lie unevenly, {narrow.min():.2f} to {gaps.max():.2f} mm apart."]
