"""A volume as an OME-NGFF image, whole or plane by plane."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.io.binary import Planes
from meddenoise.io.ngff.metadata import OURS, axis_metadata, multiscale_of, transformations
from meddenoise.io.ngff.reading import NgffSource
from meddenoise.io.ngff.store import Attributes, open_array, zarr_module
from meddenoise.io.parts import Taken
from meddenoise.io.source import same_grid
from meddenoise.io.storage import Storage
from meddenoise.volume import Volume

__all__ = ["write_ngff"]

_VERSION, _ZARR = "0.5", 3
# Of a new array: thin, so that little of a large image is held at once.
_CHUNK = {"c": 1, "z": 32, "y": 96, "x": 96}
# As many planes as a chunk is deep are held, but no more voxels.
_MOST_HELD = 2**25


def write_ngff(
    volume: Volume,
    place: Path,
    *,
    source: NgffSource | None,
    storage: Storage,
    planes: Planes | None = None,
) -> int:
    """Fill an empty directory; how many voxels were clipped.

    An image that was read from a store keeps its version, attributes, axes, units and sizes, and
    how it is packed; of several resolutions only the full one is written, since the others would
    be of the noisy image. Any other becomes version 0.5, in millimetres.

    Args:
        volume: the image; with ``planes`` only what is to be known of it.
        place: the directory.
        source: the store that it was read from, if it was.
        storage: type of what is written.
        planes: its voxels, parts ``(X, Y, n)``, one channel after the other.

    Raises:
        OutputError: NaN or infinity, and the type is an integer.
        MissingDependency: zarr is not installed.
    """
    zarr = zarr_module()
    own = source if source is not None and same_grid(source, volume) else None
    if own is not None and own.channels != volume.channels:
        own = None
    if own is None:
        attributes, name, axes = _new(volume)
        group = zarr.create_group(place, zarr_format=_ZARR, attributes=attributes)
        shape = _shape(volume, axes)
        array = group.create_array(
            name, shape=shape, dtype=storage.dtype, dimension_names=axes,
            chunks=tuple(min(n, _CHUNK[axis]) for axis, n in zip(axes, shape, strict=True)),
        )  # fmt: skip
    else:
        attributes, name, axes = _kept(own, volume), own.image.dataset, own.image.axes
        zarr.create_group(place, zarr_format=own.version, attributes=attributes)
        array = _like(own, place / name, storage)
    return _fill(array, axes, volume, storage, planes)


def _new(volume: Volume) -> tuple[Attributes, str, tuple[str, ...]]:
    several = volume.channels > 1
    axes = axis_metadata(volume.affine, volume.dims, channels=several)
    placed, whole = transformations(volume.affine, volume.dims, channels=several)
    multiscale = {
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": placed}],
    }
    attributes: Attributes = {"ome": {"version": _VERSION, "multiscales": [multiscale]}}
    ours = _ours(volume)
    if not whole:
        ours["affine"] = [[float(number) for number in row] for row in volume.affine]
    if ours:
        attributes[OURS] = ours
    return attributes, "0", tuple(axis["name"] for axis in axes)


def _kept(source: NgffSource, volume: Volume) -> Attributes:
    """The source's attributes, without what is of the arrays that are not written."""
    attributes = copy.deepcopy(source.attributes)
    held = attributes["ome"] if isinstance(attributes.get("ome"), dict) else attributes
    multiscale = multiscale_of(attributes)
    assert multiscale is not None  # it was read by it
    multiscale["datasets"] = multiscale["datasets"][:1]
    held["multiscales"] = [multiscale]
    ours = attributes.get(OURS)
    ours = {**(ours if isinstance(ours, dict) else {}), **_ours(volume)}
    if ours:
        attributes[OURS] = ours
    return attributes


def _ours(volume: Volume) -> dict[str, Any]:
    """What no other place is for."""
    said = {"units": volume.units, "modality": volume.modality, "history": list(volume.history)}
    return {key: value for key, value in said.items() if value}


def _shape(volume: Volume, axes: tuple[str, ...]) -> tuple[int, ...]:
    sizes = dict(zip(("x", "y", "z"), volume.shape, strict=False))
    return tuple(volume.channels if axis == "c" else sizes[axis] for axis in axes)


def _like(source: NgffSource, place: Path, storage: Storage) -> Any:
    """An array as the source's, packed likewise."""
    zarr = zarr_module()
    old = open_array(source.path, source.image.dataset)
    if np.dtype(old.dtype).newbyteorder("=") == storage.dtype:
        return zarr.from_array(place, data=old, write_data=False)
    # Filters are left out: a filter is for the type it was made for.
    keys = (
        {"name": "v2", "separator": old.metadata.dimension_separator}
        if source.version == 2
        else old.metadata.chunk_key_encoding
    )
    return zarr.create_array(
        place, shape=old.shape, dtype=storage.dtype, chunks=old.chunks, shards=old.shards,
        compressors=old.compressors or None, order=old.order if source.version == 2 else None,
        chunk_key_encoding=keys, zarr_format=source.version,
        dimension_names=source.image.axes if source.version == 3 else None,
    )  # fmt: skip


def _fill(
    array: Any,
    axes: tuple[str, ...],
    volume: Volume,
    storage: Storage,
    planes: Planes | None,
) -> int:
    """Chunk layer by chunk layer."""
    spatial = [name for name in axes if name in ("x", "y", "z")]
    order = [("x", "y", "z").index(name) for name in spatial]
    clipped = 0
    for channel, first, values in _layers(array, axes, volume, planes):
        stored, here = storage.encode(values)
        clipped += here
        index: list[int | slice] = []
        for name, size in zip(axes, array.shape, strict=True):
            if name in ("t", "c"):
                index.append(channel if size > 1 else 0)
            else:
                index.append(slice(first, first + values.shape[2]) if name == "z" else slice(None))
        array[tuple(index)] = stored.transpose(order)
    return clipped


def _layers(
    array: Any, axes: tuple[str, ...], volume: Volume, planes: Planes | None
) -> Iterator[tuple[int, int, NDArray[np.floating]]]:
    """Channel, first plane and values ``(X, Y[, n])`` of what is written at once."""
    if volume.dims == 2:
        for channel, values in enumerate(volume.array):
            yield channel, 0, values
        return
    x, y, depth = volume.shape
    deep = (array.shards or array.chunks)[axes.index("z")]
    step = min(deep, max(1, _MOST_HELD // (x * y)))
    taken = Taken(iter(_parts(volume) if planes is None else planes))
    for channel in range(volume.channels):
        first = 0
        while first < depth:
            count = min(step - first % step if step == deep else step, depth - first)
            yield channel, first, taken.next(count)
            first += count


def _parts(volume: Volume) -> Iterable[NDArray[np.floating]]:
    return iter(volume.array)
