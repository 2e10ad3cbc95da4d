"""A volume as text within a page: a small NIfTI, compressed, in base64."""

from __future__ import annotations

import base64
import gzip
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddenoise.volume import Volume

__all__ = ["MOST_VOXELS", "Embedded", "across_planes", "embed", "steps_to_fit"]

MOST_VOXELS = 8_000_000
"""Of a volume in a page, by default: about 12 MB each for noisy and denoised."""

_FEWEST_PLANES = 16  # that remain before voxels within them are left out
_HEADER, _OFFSET = 348, 352
_INT16 = 4
_LEVELS = 65_000
_MILLIMETRES = 2


@dataclass(frozen=True)
class Embedded:
    """What a page holds of a volume.

    Attributes:
        base64: a gzipped NIfTI-1 of the first channel.
        shape: of what is embedded, ``(X, Y, Z)``.
        step: image units that values were rounded to.
    """

    base64: str
    shape: tuple[int, ...]
    step: float


def steps_to_fit(
    shape: tuple[int, ...], spacing: tuple[float, ...], most: int = MOST_VOXELS
) -> tuple[int, ...]:
    """Every how manyth voxel to take along each axis, so that no more than ``most`` remain.

    Whole planes are left out, across the axis with the coarsest spacing (of several the last), so
    that those which remain show noise and edges as they are. Only where fewer than 16 would remain,
    and in pictures, voxels within planes are left out too, along the finest axis first. Nothing is
    averaged: averages would have less noise than the scan.
    """
    steps = [1] * len(shape)
    if len(shape) == 3 and np.prod(shape, dtype=float) > most:
        across = across_planes(spacing)
        planes = shape[across]
        fit = max(1, int(most // (np.prod(shape, dtype=float) / planes)))
        wanted = -(-planes // fit)
        while wanted > 1 and -(-planes // wanted) < _FEWEST_PLANES:
            wanted -= 1
        steps[across] = wanted

    def left() -> list[int]:
        return [-(-n // step) for n, step in zip(shape, steps, strict=True)]

    while np.prod(left(), dtype=float) > most and max(left()) > 1:
        sizes = [
            size * step if n > 1 else np.inf
            for size, step, n in zip(spacing, steps, left(), strict=True)
        ]
        steps[int(np.argmin(sizes))] *= 2
    return tuple(steps)


def across_planes(spacing: tuple[float, ...]) -> int:
    """The axis that planes are stacked along: with the coarsest spacing, of several the last."""
    sizes = np.asarray(spacing)
    return int(np.flatnonzero(sizes >= 0.99 * sizes.max())[-1])


def embed(volume: Volume, steps: tuple[int, ...] | None = None, *, step: float = 0.0) -> Embedded:
    """The first channel in 16 bits, with the place in space and nothing else of the header.

    Values are rounded to steps of ``step`` or of 1/65 000 of their range, whichever is more. Whole
    numbers whose range allows it stay as they are. What is not finite is the least.

    Args:
        volume: the scan.
        steps: every how manyth voxel along each axis; :func:`steps_to_fit` says.
        step: in image units; larger ones make a smaller page.
    """
    steps = steps or (1,) * volume.dims
    cut = volume.array[0][tuple(slice(None, None, every) for every in steps)]
    affine = volume.affine.copy()
    affine[:3, : volume.dims] *= steps
    values = np.asarray(cut, dtype=np.float64)
    if values.ndim == 2:
        values = values[..., None]
        # A picture's rows run down; a viewer's y axis runs up.
        values = values[:, ::-1]
        affine = np.diag([*np.linalg.norm(affine[:3, :3], axis=0), 1.0])
    stored, slope, offset = _in_16_bits(values, step)
    whole = _header(values.shape, affine, slope, offset) + stored.tobytes(order="F")
    packed = gzip.compress(whole, 6, mtime=0)
    return Embedded(base64.b64encode(packed).decode("ascii"), values.shape, slope)


def _in_16_bits(values: NDArray[np.float64], step: float) -> tuple[NDArray[np.int16], float, float]:
    finite = np.isfinite(values)
    low, high = (
        (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 1.0)
    )
    least = (high - low) / _LEVELS if high > low else 1.0
    whole = least <= 1 and bool(np.all(values[finite] == np.rint(values[finite])))
    # Of the header's 32 bits: the reader must multiply by what we divided by.
    slope = float(np.float32(max(least, step, 1.0 if whole else 0.0)))
    centre = float(np.float32((low + high) / 2))
    if whole:
        centre = float(np.float32(round(centre)))
    stored = np.rint((np.where(finite, values, low) - centre) / slope)
    return stored.clip(-32768, 32767).astype("<i2"), slope, centre


def _header(
    shape: tuple[int, ...], affine: NDArray[np.float64], slope: float, offset: float
) -> bytes:
    """NIfTI-1 (https://nifti.nimh.nih.gov/nifti-1): size, type, scale and sform; no text."""
    header = bytearray(_OFFSET)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    struct.pack_into("<i", header, 0, _HEADER)
    struct.pack_into("<8h", header, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, _INT16, 16)
    struct.pack_into("<8f", header, 76, 1, *sizes, 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, _OFFSET, slope, offset)
    header[123] = _MILLIMETRES
    struct.pack_into("<2h", header, 252, 0, 1)  # sform: scanner's coordinates
    struct.pack_into("<12f", header, 280, *affine[:3].ravel())
    header[344:348] = b"n+1\0"
    return bytes(header)
