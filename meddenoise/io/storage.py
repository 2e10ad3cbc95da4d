"""How voxel values are held in a file: an integer or float type with a scale.

    value = slope * stored + intercept

Reading decodes, writing encodes: rounded to nearest, clipped to what the file can hold,
and the clipped voxels counted, so that nothing wraps around or is cut off unseen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike, NDArray

from meddenoise.errors import OutputError

__all__ = ["Storage"]

# float32 holds integers up to 2**24 exactly; two bits are left for the rounding of the scale.
_FLOAT32_STEPS = 2**22
_PART_VOXELS = 1 << 18
_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Storage:
    """The type and the scale of stored values.

    Attributes:
        dtype: the type in the file, in native byte order.
        slope: physical units per stored step, not 0.
        intercept: physical value of a stored 0.
        bits: how many of an integer's bits count (DICOM's BitsStored); all if ``None``.
    """

    dtype: np.dtype
    slope: float = 1.0
    intercept: float = 0.0
    bits: int | None = None

    @classmethod
    def of(cls, dtype: DTypeLike, slope: float = 1.0, intercept: float = 0.0) -> Storage:
        """Storage in a type that is named in any of numpy's ways."""
        return cls(np.dtype(dtype).newbyteorder("="), slope, intercept)

    @property
    def is_float(self) -> bool:
        """Whether stored values are floating point: nothing is rounded or clipped then."""
        return self.dtype.kind == "f"

    @property
    def is_scaled(self) -> bool:
        """Whether stored values differ from physical ones."""
        return (self.slope, self.intercept) != (1.0, 0.0)

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest stored integer."""
        info = np.iinfo(self.dtype)
        bits = info.bits if self.bits is None else min(self.bits, info.bits)
        if self.dtype.kind == "u":
            return 0, 2**bits - 1
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    @property
    def working_dtype(self) -> np.dtype:
        """float32 where each stored value can be told from its neighbours in it, else float64."""
        if self.is_float:
            small = self.dtype.itemsize <= 4 and not self.is_scaled
            return np.dtype(np.float32 if small else np.float64)
        low, high = self.limits
        return self._working(max(-low, high))

    def dtype_for(self, stored: NDArray) -> np.dtype:
        """:attr:`working_dtype`, or float32 where a wide type holds only small numbers."""
        working = self.working_dtype
        wide_integers = self.dtype.kind in "iu" and self.dtype.itemsize >= 4
        if working == np.float32 or not wide_integers or not stored.size:
            return working
        return self._working(max(-int(stored.min()), int(stored.max())))

    def _working(self, largest: int) -> np.dtype:
        """For stored integers up to ``largest``: neighbours differ, none is out of range."""
        steps = largest + abs(self.intercept / self.slope)
        fine = steps < _FLOAT32_STEPS
        in_range = abs(self.slope) > _SMALLEST and steps * abs(self.slope) < _LARGEST
        return np.dtype(np.float32 if fine and in_range else np.float64)

    def decode(self, stored: NDArray, out: NDArray[np.floating] | None = None) -> NDArray:
        """Physical values; the shape of ``stored``, of ``working_dtype`` or that of ``out``."""
        if out is None:
            out = np.empty(stored.shape, self.dtype_for(stored))
        if not self.is_scaled:
            out[...] = stored
            return out
        with np.errstate(over="ignore", invalid="ignore"):  # floats that are no numbers stay so
            for part in _parts(stored.shape):
                out[part] = stored[part].astype(np.float64) * self.slope + self.intercept
        return out

    def encode(self, values: NDArray[np.floating]) -> tuple[NDArray, int]:
        """Stored values (C-contiguous, native byte order) and how many had to be clipped.

        Raises:
            OutputError: NaN or infinity, and the type is an integer.
        """
        stored = np.empty(values.shape, self.dtype)
        clipped = 0
        for part in _parts(values.shape):
            stored[part], here = self._encode_part(values[part])
            clipped += here
        return stored, clipped

    def encode_in_parts(self, values: NDArray[np.floating]) -> Iterator[tuple[NDArray, int]]:
        """:meth:`encode` in a few million voxels at a time, in C order; together they are all.

        Raises:
            OutputError: as for :meth:`encode`, when that part's turn comes.
        """
        for part in _parts(values.shape):
            yield self._encode_part(values[part])

    def _encode_part(self, values: NDArray) -> tuple[NDArray, int]:
        if self.is_scaled:
            values = (values.astype(np.float64) - self.intercept) / self.slope
        stored, clipped = self._floats(values) if self.is_float else self._integers(values)
        return np.ascontiguousarray(stored), clipped

    def _floats(self, values: NDArray) -> tuple[NDArray, int]:
        with np.errstate(over="ignore"):
            stored = values.astype(self.dtype, copy=False)
        if values.dtype.itemsize <= self.dtype.itemsize:
            return stored, 0
        return stored, int(np.count_nonzero(np.isinf(stored) & np.isfinite(values)))

    def _integers(self, values: NDArray) -> tuple[NDArray, int]:
        if not np.isfinite(values).all():
            raise OutputError(
                f"The volume has NaN or infinite voxels and {self.dtype} cannot hold them: "
                "write it as float32 (to NIfTI, NRRD, MHA or TIFF) or replace them first."
            )
        low, high = self.limits
        if high > 2**53:  # the largest float that the type still holds
            values = values.astype(np.float64)
            high = int(np.nextafter(float(high), 0))
        rounded = np.rint(values)
        clipped = int(np.count_nonzero((rounded < low) | (rounded > high)))
        if clipped:
            rounded = np.clip(rounded, low, high)
        return rounded.astype(self.dtype), clipped

    def without_scale(self) -> Storage:
        """For formats that have no slope: integers wide enough, or floats if need be."""
        if not self.is_scaled:
            return replace(self, bits=None)
        whole = float(self.slope).is_integer() and float(self.intercept).is_integer()
        if self.is_float or not whole:
            return Storage(self.working_dtype)
        ends = [self.slope * end + self.intercept for end in self.limits]
        for dtype in (self.dtype, np.dtype(np.int16), np.dtype(np.uint16), np.dtype(np.int32)):
            info = np.iinfo(dtype)
            if info.min <= min(ends) and max(ends) <= info.max:
                return Storage(dtype)
        return Storage(self.working_dtype)


def _parts(shape: tuple[int, ...]) -> Iterator[tuple[int | slice, ...]]:
    """Indices of parts of an array, in C order, so small that copies of one take no memory."""
    row = math.prod(shape[1:])
    if row > _PART_VOXELS and len(shape) > 1:
        for index in range(shape[0]):
            for rest in _parts(shape[1:]):
                yield (index, *rest)
        return
    step = max(1, _PART_VOXELS // max(1, row))
    for first in range(0, shape[0], step):
        yield (slice(first, first + step),)
