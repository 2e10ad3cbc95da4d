"""One scan in memory: the voxels, where they are, and the header to write them back with."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import GeometryError, ParameterError

__all__ = ["Source", "Volume", "single_slice", "slice_last"]


class Source(Protocol):
    """The header a volume was read with; only ``meddenoise.io`` looks inside."""

    @property
    def format(self) -> str:
        """``"dicom"``, ``"nifti"``, ``"nrrd"``, ``"metaimage"`` or ``"raster"``."""
        ...


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan: voxel values in physical units on a grid in patient space.

    Attributes:
        array: ``(C, X, Y, Z)`` for volumes, ``(C, X, Y)`` for 2-D images; float32, or
            float64 where float32 would lose digits. ``C`` is 1 for a plain scan and the
            number of time points, echoes or directions of a 4-D one. May hold
            non-finite values: see :attr:`valid`.
        affine: ``(4, 4)`` float64, voxel index ``(x, y, z)`` to RAS+ millimetres.
        units: ``"HU"`` for CT, the header's unit where it names one, else ``""``.
        modality: DICOM's word (``"MR"``, ``"CT"``, ``"PT"``, ...), ``""`` if unknown.
        source: the header that this volume is written back with, if it was read.
        padding: bool, the shape of ``array``: voxels that the scanner marked as outside
            the measurement (DICOM pixel padding), or that NumPy's masked array masks; ``None`` if
            there are none.
        history: what was done to the voxels since they were read, a line each; written
            to formats that have a place for it (DICOM's DerivationDescription).
    """

    array: NDArray[np.floating]
    affine: NDArray[np.float64]
    units: str = ""
    modality: str = ""
    source: Source | None = field(default=None, repr=False)  # it tells of the patient
    padding: NDArray[np.bool_] | None = None
    history: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given, padding = self.array, self.padding
        array = _as_array(given)
        if array.ndim not in (3, 4):
            raise ParameterError(
                f"A volume's array is (C, X, Y, Z) or (C, X, Y), not of shape {array.shape}; "
                "use Volume.from_array for an array without the channel axis."
            )
        if 0 in array.shape:
            raise ParameterError(f"A volume needs at least one voxel, not shape {array.shape}.")
        array = _in_floats(array)
        affine = np.asarray(self.affine, dtype=np.float64)
        if affine.shape != (4, 4):
            raise ParameterError(f"An affine is a 4x4 matrix, not of shape {affine.shape}.")
        if not _has_place(affine):
            raise GeometryError(
                "The affine is singular or not finite: voxels have no place in space. "
                "Mend the header (spacing, orientation) before denoising."
            )
        if padding is not None and padding.shape != array.shape:
            raise ParameterError(
                f"The padding mask has shape {padding.shape}, the array {array.shape}."
            )
        if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
            masked = np.ma.getmaskarray(given)
            object.__setattr__(self, "padding", masked if padding is None else padding | masked)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def from_array(
        cls,
        array: ArrayLike,
        *,
        spacing: Sequence[float] | None = None,
        affine: ArrayLike | None = None,
        units: str = "",
        modality: str = "",
    ) -> Volume:
        """A volume from a bare array, for research scripts.

        Args:
            array: ``(X, Y)``, ``(X, Y, Z)`` or ``(C, X, Y, Z)``. What a masked array masks was not
                measured: it is :attr:`padding`. A tensor gives its values, without its gradients.
            spacing: voxel size in mm per spatial axis (default 1); or give
            affine: ``(4, 4)``, voxel index to RAS+ mm.
            units: for example ``"HU"``.
            modality: for example ``"CT"``.

        Raises:
            ParameterError: a wrong number of axes, rows of several lengths, voxels that are no real
                numbers, a spacing that is not above 0, or both ``spacing`` and ``affine``.
            GeometryError: an affine that is singular or not finite.
        """
        values = array if isinstance(array, np.ma.MaskedArray) else _as_array(array)
        if values.ndim in (2, 3):
            values = values[None]
        if values.ndim not in (3, 4):
            raise ParameterError(f"An image has 2, 3 or 4 axes, not {values.ndim}.")
        if affine is not None and spacing is not None:
            raise ParameterError("Give either spacing or affine, not both.")
        if affine is None:
            size = np.ones(3)
            if spacing is not None:
                if len(spacing) != values.ndim - 1 or min(spacing) <= 0:
                    raise ParameterError(
                        f"spacing needs {values.ndim - 1} positive numbers in mm, not {spacing}."
                    )
                size[: len(spacing)] = spacing
            affine = np.diag([*size, 1.0])
        return cls(values, np.asarray(affine, dtype=np.float64), units=units, modality=modality)

    @property
    def channels(self) -> int:
        """How many scans share this grid (time points, echoes, directions)."""
        return int(self.array.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """The spatial shape, ``(X, Y, Z)`` or ``(X, Y)``."""
        return tuple(int(n) for n in self.array.shape[1:])

    @property
    def dims(self) -> int:
        """2 or 3."""
        return self.array.ndim - 1

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size in mm per spatial axis, from the affine's columns."""
        lengths = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return tuple(float(n) for n in lengths[: self.dims])

    @property
    def valid(self) -> NDArray[np.bool_]:
        """``array``'s shape: finite and not padding; only these voxels are measured."""
        finite = np.isfinite(self.array)
        return finite if self.padding is None else finite & ~self.padding

    def valid_in(self, channel: int) -> NDArray[np.bool_]:
        """``valid[channel]``, without the masks of the other channels."""
        finite = np.isfinite(self.array[channel])
        return finite if self.padding is None else finite & ~self.padding[channel]

    def with_array(self, array: NDArray[np.floating], *, note: str | None = None) -> Volume:
        """The same scan with other voxel values, and a line of history if given.

        Raises:
            GeometryError: the new array does not lie on this grid.
        """
        if array.shape != self.array.shape:
            raise GeometryError(
                f"The new array has shape {array.shape}; this volume's grid is {self.array.shape}."
            )
        history = self.history if note is None else (*self.history, note)
        return replace(self, array=array, history=history)

    def in_units(self, units: str) -> Volume:
        """The same scan, its voxels said to be in ``units``, which its header does not say.

        Raises:
            ParameterError: the header says something else, or HU of what is no CT.
        """
        if self.units not in ("", units):
            raise ParameterError(
                f"The voxels cannot be in {units}: the scan's header says {self.units}."
            )
        if units == "HU" and self.modality not in ("", "CT"):
            raise ParameterError(
                f"The voxels cannot be in HU: the scan's header says that it is {self.modality}."
            )
        return replace(self, units=units)

    def check_same_grid(self, other: Volume, *, names: tuple[str, str] = ("one", "other")) -> None:
        """Raise unless voxel i of one is voxel i of the other in space.

        Positions may differ by a hundredth of a voxel at the corners.

        Raises:
            GeometryError: says what differs.
        """
        if self.array.shape != other.array.shape:
            raise GeometryError(
                f"{names[0]} has shape {self.array.shape} and {names[1]} {other.array.shape} "
                "(channels first): resample one to the other's grid first."
            )
        extent = [*self.shape, *([1] * (3 - self.dims))]
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in extent])).reshape(3, -1)
        corners = np.vstack([corners, np.ones(corners.shape[1])])
        apart = np.abs((self.affine - other.affine) @ corners)[:3].max()
        if apart > 0.01 * min(self.spacing):
            raise GeometryError(
                f"{names[0]} and {names[1]} lie up to {apart:.3g} mm apart in space: "
                "resample one to the other's grid first."
            )


def _has_place(affine: NDArray[np.float64]) -> bool:
    """Whether an affine is finite, also in the sizes and volume of a voxel, and not singular."""
    with np.errstate(all="ignore"):
        sizes = (affine[:3, :3] ** 2).sum(axis=0)
        volume = abs(np.linalg.det(affine[:3, :3]))
    return bool(np.isfinite([*affine.flat, *sizes, volume]).all() and volume >= 1e-12)


def single_slice(shape: Sequence[int]) -> int | None:
    """The first or second axis of a volume that is one slice across it; ``None`` of any other."""
    single = [axis for axis, size in enumerate(shape) if size == 1]
    return single[0] if len(shape) == 3 and len(single) == 1 and single[0] < 2 else None


def slice_last(volume: Volume, axis: int) -> Volume:
    """A volume with one of its axes last, its place in space kept; without the header.

    Args:
        volume: ``(C, X, Y, Z)``.
        axis: of the three in space, from 0.
    """
    order = [other for other in range(3) if other != axis] + [axis]
    channels_first = [0, *(other + 1 for other in order)]
    padding = None if volume.padding is None else volume.padding.transpose(channels_first)
    return replace(
        volume,
        array=volume.array.transpose(channels_first),
        affine=volume.affine[:, [*order, 3]],
        padding=padding,
        source=None,  # a header has its own order of axes
    )


def _as_array(given: Any) -> NDArray[Any]:
    """An array of what may be one, or a tensor; masks are left to whoever asks for them."""
    # Where nobody has imported torch there is no tensor, nor where another thread still imports it.
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    try:
        if tensor is not None and isinstance(given, tensor):
            given = given.detach().cpu().resolve_conj().resolve_neg()
            if given.dtype == sys.modules["torch"].bfloat16:  # NumPy has none
                given = given.float()
        return np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = str(error).split(". ")[0].rstrip(".")
        raise ParameterError(f"A volume's voxels make no array ({reason}).") from error


def _in_floats(array: NDArray[Any]) -> NDArray[np.floating]:
    """float32, or float64 where that is given or float32 would lose digits; no copy if it fits."""
    kind = array.dtype
    if kind.kind not in "fiub":
        hint = ": take the magnitude of complex data" if kind.kind == "c" else ""
        raise ParameterError(f"A volume's voxels are real numbers, not {kind}{hint}.")
    if kind.kind == "f":
        wide = kind.itemsize > 4
    else:
        # Whole numbers above 2^24 do not all exist in float32.
        wide = kind.itemsize > 2 and max(int(array.max()), -int(array.min())) > 2**24
    return array.astype(np.float64 if wide else np.float32, copy=False)
