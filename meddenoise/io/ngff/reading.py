"""An OME-NGFF image as a volume, or plane by plane."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan, FileError
from meddenoise.free_memory import free_memory
from meddenoise.io.ngff.blosc import check_chunks
from meddenoise.io.ngff.metadata import Image, image_of
from meddenoise.io.ngff.store import Attributes, attributes_of, open_array
from meddenoise.io.plane_scan import PlaneScan, headed, planes_a_part
from meddenoise.io.source import HeaderSource, check_float64_holds, make_volume
from meddenoise.io.storage import Storage
from meddenoise.volume import Volume

__all__ = ["NgffPlanes", "NgffSource", "ngff_planes", "read_ngff"]

# Chunks are unpacked as a whole: as many planes as one is deep are held, but no more voxels.
_MOST_HELD = 2**24


@dataclass(frozen=True, kw_only=True)
class NgffSource(HeaderSource):
    """An image in a zarr store.

    Attributes:
        attributes: of its group, as they are.
        image: what they say.
        version: of zarr.
        chunks: of its array.
    """

    attributes: Attributes = field(repr=False)
    image: Image
    version: int
    chunks: tuple[int, ...]

    @property
    def format(self) -> str:
        return "zarr"

    def details(self) -> dict[str, Any]:
        return {
            "zarr": self.version,
            "axes": list(self.image.axes),
            "chunks": list(self.chunks),
            "array": self.image.dataset,
        }


@dataclass(frozen=True)
class NgffPlanes(PlaneScan):
    """An image whose chunks are read as they are wanted.

    Attributes:
        array: the ``zarr.Array``.
        source: its header.
    """

    head: Volume
    path: Path
    array: Any
    source: NgffSource

    def planes(
        self, channel: int = 0, first: int = 0, last: int | None = None
    ) -> Iterator[NDArray[np.floating]]:
        """As :meth:`PlaneScan.planes`."""
        until = self.shape[2] if last is None else last
        step, kind = planes_a_part(self.shape), self.head.array.dtype
        begin = first
        while begin < until:
            end = min(self._end_of_chunk(begin), until)
            held = _stored(self.array, self.source, channel, slice(begin, end))
            check_float64_holds(held, self.path)
            for part in range(0, end - begin, step):
                yield held[..., part : part + step].astype(kind, copy=False)
            begin = end

    def _end_of_chunk(self, plane: int) -> int:
        x, y, _ = self.shape
        deep = self.source.chunks[self.source.image.axes.index("z")]
        most = max(1, _MOST_HELD // (x * y))
        return plane + min(deep - plane % deep, most)


def read_ngff(path: Path) -> Volume:
    """The full resolution of a store's image.

    Raises:
        FileError: no OME-NGFF image, one that is damaged, or one that does not fit into memory.
        GeometryError: its voxels have no place.
        MissingDependency: zarr is not installed.
    """
    array, source = _opened(path)
    assert source.storage is not None
    held = math.prod(array.shape) * source.storage.working_dtype.itemsize
    if held > free_memory():
        raise FileError(
            f"{path} holds {held / 2**30:.1f} GiB, more memory than is free: a model denoises it "
            "plane by plane."
        )
    channels = [_stored(array, source, channel, slice(None)) for channel in range(source.channels)]
    stored = np.stack(channels)
    check_float64_holds(stored, path)
    values = stored.astype(source.storage.dtype_for(stored), copy=False)
    return make_volume(values, source, units=source.image.units, modality=source.image.modality)


def ngff_planes(path: Path) -> NgffPlanes | None:
    """The image to be read plane by plane; ``None`` of one of two axes.

    Raises:
        FileError, GeometryError, MissingDependency: as :func:`read_ngff`.
    """
    array, source = _opened(path)
    if source.image.dims != 3 or source.storage is None:
        return None
    head = headed(
        source,
        source.storage.working_dtype,
        units=source.image.units,
        modality=source.image.modality,
    )
    return NgffPlanes(head, path, array, source)


def _opened(path: Path) -> tuple[Any, NgffSource]:
    attributes, version = attributes_of(path)
    image = image_of(attributes, path)
    array = open_array(path, image.dataset)
    if len(array.shape) != len(image.axes):
        raise DamagedScan(
            f"{path} has {len(array.shape)} axes, and says that they are {', '.join(image.axes)}."
        )
    sizes = dict(zip(image.axes, map(int, array.shape), strict=True))
    several = [name for name in ("t", "c") if sizes.get(name, 1) > 1]
    if len(several) > 1:
        raise FileError(f"{path} has {sizes['t']} times and {sizes['c']} channels: split it first.")
    source = NgffSource(
        path=path,
        storage=Storage.of(array.dtype),
        shape=tuple(sizes[name] for name in ("x", "y", "z") if name in sizes),
        channels=sizes[several[0]] if several else 1,
        affine=image.affine,
        oddities=image.oddities,
        attributes=attributes,
        image=image,
        version=version,
        chunks=tuple(map(int, array.chunks)),
    )
    return array, source


def _stored(array: Any, source: NgffSource, channel: int, planes: slice) -> NDArray:
    """``(X, Y)`` or ``(X, Y, n)`` of the stored type."""
    axes = source.image.axes
    index: list[int | slice] = []
    for name, size in zip(axes, array.shape, strict=True):
        if name in ("t", "c"):
            index.append(channel if size > 1 else 0)
        else:
            index.append(planes if name == "z" else slice(None))
    check_chunks(array, source.path / source.image.dataset, index)
    try:
        part = np.asarray(array[tuple(index)])
    except OSError:
        raise
    except Exception as fault:  # whatever a codec makes of damaged chunks
        raise DamagedScan(
            f"{source.path} is damaged: {type(fault).__name__} in planes from {planes.start or 0}."
        ) from fault
    spatial = [name for name in axes if name in ("x", "y", "z")]
    order = [spatial.index(name) for name in ("x", "y", "z") if name in spatial]
    return part.transpose(order).astype(part.dtype.newbyteorder("="), copy=False)
