"""Zarr stores: what they say of themselves, and their arrays, from whoever they come."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from meddenoise.errors import DamagedScan, FileError, MissingDependency
from meddenoise.free_memory import free_memory
from meddenoise.io.formats import is_store

__all__ = ["Attributes", "attributes_of", "groups_in", "open_array", "zarr_module"]

Attributes = dict[str, Any]

_MOST_JSON = 1 << 22
# What only turns numbers into numbers. Of what zarr offers besides, pickle runs a stranger's code.
_CODECS = frozenset(
    {
        "bytes", "transpose", "sharding_indexed", "crc32c", "crc32", "adler32", "fletcher32",
        "gzip", "zlib", "zstd", "blosc", "lz4", "bz2", "lzma", "delta", "shuffle",
        "fixedscaleoffset", "bitround", "packbits", "quantize",
    }
)  # fmt: skip
_KINDS = "iuf"


def zarr_module() -> Any:
    """The zarr library.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import zarr
    except ImportError:
        raise MissingDependency(
            'Scans in zarr need a library: pip install "meddenoise[zarr]" (Python 3.11 or newer).'
        ) from None
    return zarr


def attributes_of(path: Path) -> tuple[Attributes, int]:
    """The attributes of a group and the version of zarr that it is in.

    Raises:
        FileError: it is an array without a group around it, which says nothing of its axes.
        DamagedScan: its JSON is damaged.
    """
    if (path / "zarr.json").is_file():
        told = _json(path / "zarr.json")
        if told.get("node_type") == "group":
            return _mapping(told.get("attributes", {}), path), 3
    elif (path / ".zgroup").is_file():
        beside = path / ".zattrs"
        return (_json(beside) if beside.is_file() else {}), 2
    raise FileError(
        f"{path} is a zarr array that says nothing of its axes and voxel sizes: only OME-NGFF "
        "images (OME-Zarr) are read."
    )


def groups_in(path: Path) -> list[str]:
    """Names of the stores right below one."""
    return sorted(inner.name for inner in path.iterdir() if is_store(inner))


def open_array(path: Path, name: str) -> Any:
    """The ``zarr.Array`` of that name below a group.

    Raises:
        DamagedScan: it is missing or damaged.
        FileError: no plain numbers, or packed in a way that is not trusted.
        MissingDependency: zarr is not installed.
    """
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise DamagedScan(f"{path} names an array outside of itself ({name!r}).")
    zarr, place = zarr_module(), path / name
    told = _told(place)
    unknown = sorted(set(_named(told)) - _CODECS)
    if unknown:
        raise FileError(
            f"{place} is packed by {', '.join(unknown)}, which is not read: pack it by zstd, gzip "
            "or blosc."
        )
    try:
        array = zarr.open_array(place, mode="r")
    except OSError:
        raise
    except Exception as fault:  # zarr has no error of its own for what is damaged
        raise DamagedScan(f"{place} is damaged: {_short(fault)}.") from fault
    if np.dtype(array.dtype).kind not in _KINDS:
        raise FileError(f"{place} holds {array.dtype}, which are no intensities.")
    if not array.shape or 0 in array.shape:
        raise DamagedScan(f"{place} is empty: its shape is {array.shape}.")
    _check_chunk(place, array)
    return array


def _check_chunk(place: Path, array: Any) -> None:
    """A header may claim chunks of any size, and one must be held."""
    held = math.prod(array.chunks) * np.dtype(array.dtype).itemsize
    if held > free_memory() // 2:
        raise FileError(
            f"{place} has chunks of {' x '.join(map(str, array.chunks))} voxels, and there is no "
            f"memory for the {held / 2**30:.1f} GiB of one."
        )


def _told(place: Path) -> dict[str, Any]:
    for name in ("zarr.json", ".zarray"):
        if (place / name).is_file():
            return _json(place / name)
    raise DamagedScan(f"{place} is missing: the image's voxels should be there.")


def _named(told: dict[str, Any]) -> list[str]:
    """Names of all codecs, also of those within others."""
    found = []
    codecs = [*_list(told.get("codecs")), *_list(told.get("filters")), told.get("compressor")]
    for codec in codecs:
        if isinstance(codec, dict):
            name = str(codec.get("name") or codec.get("id") or "nothing")
            found.append(name.removeprefix("numcodecs."))
            inner = codec.get("configuration")
            if isinstance(inner, dict):
                inside = [*_list(inner.get("codecs")), *_list(inner.get("index_codecs"))]
                found += _named({"codecs": inside})
        elif codec is not None:
            found.append(str(codec))
    return found


def _list(told: Any) -> list[Any]:
    """What else stands there zarr itself will refuse."""
    return told if isinstance(told, list) else []


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_JSON:
            raise DamagedScan(f"{path} is too large for a header.")
        told = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as fault:
        raise DamagedScan(f"{path} is damaged: {_short(fault)}.") from fault
    return _mapping(told, path)


def _mapping(told: Any, path: Path) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise DamagedScan(f"{path} is damaged: it holds no JSON object.")
    return told


def _short(fault: Exception) -> str:
    return f"{type(fault).__name__}: {fault}".split("\n", 1)[0].rstrip(".")[:200]
