"""Irregular slices on a grid that a single affine describes, for formats that hold no other.

What is done depends on what is irregular, and is said in notes:

- A tilt (a shear of the stack) goes into the affine exactly; no voxel changes.
- Of slices that lie at one place the first is taken.
- Slices with gaps between them, or unevenly spaced, are interpolated linearly along the stack,
  at the smallest distance that occurs (or a little less, so that the first and the last slice stay
  where they are).
- Slices without a position are assumed to lie one upon the other at the stated spacing.
- Pixels without a size are assumed to be 1 mm wide and high.

Slices that are shifted against each other in their plane lie on no line; they are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import GeometryError
from meddenoise.io.dicom.geometry import LPS_TO_RAS, same_place
from meddenoise.io.dicom.source import DicomSource
from meddenoise.io.source import same_grid
from meddenoise.volume import Volume

__all__ = ["on_regular_grid"]

_MOST_SLICES = 16  # for one that was measured


def on_regular_grid(volume: Volume, source: DicomSource) -> tuple[Volume, tuple[str, ...]]:
    """The volume with slices at equal distances, and sentences about what that took.

    Args:
        volume: ``(C, X, Y, Z)`` on the grid of ``source``.
        source: the series it was read from.

    Raises:
        GeometryError: the volume left that grid, or the slices lie on no line.
    """
    if not same_grid(source, volume):
        raise GeometryError(
            f"The volume {volume.shape} lies no longer on the grid of {source.path} "
            f"{source.shape}, so where its slices lie is not known."
        )
    frames = source.frames[0]
    notes = [] if frames[0].sized else ["The pixels were assumed to be 1 mm wide and high."]
    if any(frame.position is None for frame in frames):
        notes.append("The slices were assumed to lie upright at the stated spacing.")
        return volume, tuple(notes)
    near = same_place(frames[0])
    places = np.array([frame.position for frame in frames])
    stack = _Stack.of(volume, places, frames[0].normal, near)
    notes += _tilt_note(source)
    if len(stack.offsets) < len(frames):
        notes.append(
            f"Of slices at one place the first was taken: {len(stack.offsets)} of {len(frames)}."
        )
    if len(stack.offsets) == 1:
        return stack.volume, tuple(notes)
    stack.check_line(min(frames[0].spacing), source)
    gaps = np.diff(stack.offsets)
    if gaps.max() - gaps.min() <= 0.02 * gaps.max() + near:
        return stack.regular(), tuple(notes)
    resampled, distance = stack.resampled(source)
    notes.append(
        f"The slices lay {gaps.min():.4g} to {gaps.max():.4g} mm apart and were interpolated "
        f"linearly at {distance:.4g} mm: {resampled.shape[2]} slices out of {len(gaps) + 1}."
    )
    return resampled, tuple(notes)


def _tilt_note(source: DicomSource) -> list[str]:
    tilted = [reason for reason in source.irregular if "tilt" in reason]
    return [f"{reason} The affine holds that shear exactly." for reason in tilted]


@dataclass(frozen=True)
class _Stack:
    """Slices sorted along their normal, one at each place.

    Attributes:
        volume: ``(C, X, Y, Z)``.
        places: ``(Z, 3)`` LPS mm of the first voxel of each slice.
        offsets: ``(Z,)`` mm along the normal.
    """

    volume: Volume
    places: NDArray[np.float64]
    offsets: NDArray[np.float64]

    @classmethod
    def of(cls, volume: Volume, places: NDArray, normal: NDArray, near: float) -> _Stack:
        offsets = places @ normal
        kept = np.flatnonzero(np.diff(offsets, prepend=-np.inf) >= near)
        if len(kept) < len(offsets):
            padding = None if volume.padding is None else volume.padding[..., kept]
            volume = Volume(
                volume.array[..., kept], volume.affine, volume.units, volume.modality,
                volume.source, padding, volume.history,
            )  # fmt: skip
        return cls(volume, places[kept], offsets[kept])

    def check_line(self, pixel: float, source: DicomSource) -> None:
        """Raise unless all slices begin on one line, to a quarter of a pixel."""
        share = (self.offsets - self.offsets[0]) / (self.offsets[-1] - self.offsets[0])
        line = self.places[0] + share[:, None] * (self.places[-1] - self.places[0])
        with np.errstate(over="ignore"):  # damage puts a slice anywhere
            off = float(np.linalg.norm(self.places - line, axis=1).max())
        if off > 0.25 * pixel:
            raise GeometryError(
                f"{source.path}: slices are shifted against each other by up to {off:.3g} mm in "
                "their plane, which no single affine can hold: write the series as DICOM."
            )

    def regular(self) -> Volume:
        """The slices as they are; from first to last in equal steps."""
        step = (self.places[-1] - self.places[0]) / (len(self.offsets) - 1)
        return self._with(self.volume.array, self.volume.padding, step)

    def resampled(self, source: DicomSource) -> tuple[Volume, float]:
        """Linearly interpolated slices at equal distances, and that distance in mm."""
        whole = float(self.offsets[-1] - self.offsets[0])
        smallest = float(np.diff(self.offsets).min())
        count = int(np.ceil(whole / smallest - 0.01)) + 1
        if count > _MOST_SLICES * len(self.offsets):
            raise GeometryError(
                f"{source.path}: slices lie as near as {smallest:.3g} mm in a stack of "
                f"{whole:.4g} mm, which at that distance would take {count:,} slices: write the "
                "series as DICOM."
            )
        wanted = np.linspace(self.offsets[0], self.offsets[-1], count)
        above = np.clip(np.searchsorted(self.offsets, wanted), 1, len(self.offsets) - 1)
        below = above - 1
        weight = (wanted - self.offsets[below]) / (self.offsets[above] - self.offsets[below])
        weight = np.where(np.abs(weight - np.rint(weight)) < 1e-6, np.rint(weight), weight)
        return self._interpolated(below, above, weight), whole / (count - 1)

    def _interpolated(self, below: NDArray, above: NDArray, weight: NDArray) -> Volume:
        values, padding = self.volume.array, self.volume.padding
        array = np.empty((*values.shape[:-1], len(weight)), values.dtype)
        mask = None if padding is None else np.zeros(array.shape, dtype=bool)
        for index, (low, high, share) in enumerate(zip(below, above, weight, strict=True)):
            # Not by weights of 0: nothing times NaN is NaN.
            if share in (0.0, 1.0):
                exact = high if share else low
                array[..., index] = values[..., exact]
                if mask is not None and padding is not None:
                    mask[..., index] = padding[..., exact]
                continue
            array[..., index] = values[..., low] * (1 - share) + values[..., high] * share
            if mask is not None and padding is not None:
                mask[..., index] = padding[..., low] | padding[..., high]
                nearer = low if share < 0.5 else high
                # Between something and nothing there is no half: the nearer slice's value stays.
                array[..., index] = np.where(
                    mask[..., index], values[..., nearer], array[..., index]
                )
        step = (self.places[-1] - self.places[0]) / (len(weight) - 1)
        return self._with(array, mask, step)

    def _with(self, array: NDArray, padding: NDArray | None, step: NDArray) -> Volume:
        affine = LPS_TO_RAS @ self.volume.affine  # its own inverse
        affine[:3, 2], affine[:3, 3] = step, self.places[0]
        volume = self.volume
        return Volume(
            array, LPS_TO_RAS @ affine, volume.units, volume.modality, volume.source, padding,
            volume.history,
        )  # fmt: skip
