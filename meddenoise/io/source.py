"""What every kept header can tell, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import FileError, GeometryError
from meddenoise.io.storage import Storage
from meddenoise.volume import Volume

__all__ = ["HeaderSource", "check_float64_holds", "make_volume", "same_grid"]


@dataclass(frozen=True, kw_only=True)
class HeaderSource:
    """The header of a scan as it was read; each format adds what it needs to write it back.

    Attributes:
        path: what was read: a file, or the directory of a DICOM series.
        storage: type and scale of the stored values; ``None`` where they vary by slice.
        shape: spatial shape on file.
        channels: how many volumes the file holds.
        affine: ``(4, 4)``, voxel index to RAS+ mm, as read.
        oddities: sentences about what is unusual, for the user to see.
        irregular: why the slices do not form a regular, upright grid; empty if they do.
    """

    path: Path
    storage: Storage | None
    shape: tuple[int, ...]
    channels: int
    affine: NDArray[np.float64]
    oddities: tuple[str, ...] = ()
    irregular: tuple[str, ...] = ()

    @property
    def format(self) -> str:
        """The format's name; each subclass has its own."""
        raise NotImplementedError

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that was read; none of them is ever written to."""
        return (self.path,)

    def __deepcopy__(self, memo: dict[int, Any]) -> HeaderSource:
        return self  # nothing in it is ever changed

    def details(self) -> dict[str, Any]:
        """Facts about the file for ``describe``: plain JSON, no patient data."""
        return {}


def make_volume(array: NDArray, source: HeaderSource, **fields: Any) -> Volume:
    """A volume that carries its source; a bad affine is an error that names the file.

    Raises:
        GeometryError: the header's affine is singular or not finite.
    """
    try:
        return Volume(array, source.affine, source=source, **fields)
    except GeometryError as error:
        raise GeometryError(f"{source.path}: {error}") from error


def same_grid(source: HeaderSource, volume: Volume) -> bool:
    """Whether a volume lies on the grid its header describes (the number of channels aside)."""
    shape = (*volume.shape, *([1] * (3 - volume.dims)))
    known = (*source.shape, *([1] * (3 - len(source.shape))))
    if shape != known:
        return False
    scale = float(np.abs(source.affine[:3, :3]).max())
    return bool(np.allclose(source.affine, volume.affine, rtol=1e-5, atol=1e-4 * scale))


def check_float64_holds(values: NDArray, path: Path) -> None:
    """Raise for 64-bit integers that float64 cannot tell apart.

    Raises:
        FileError: a value beyond 2**53.
    """
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8 or not values.size:
        return
    if max(abs(int(values.min())), abs(int(values.max()))) > 2**53:
        raise FileError(
            f"{path}: 64-bit integers beyond 2**53 cannot be worked on without loss: convert them "
            "to floats first."
        )
