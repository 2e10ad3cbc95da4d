"""Decoded scans in files that are mapped into memory, for cohorts larger than it."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise._version import __version__
from meddenoise.errors import FileError, OutputError
from meddenoise.io import ScanFile, atomic_directory
from meddenoise.io.hashing import scan_hash
from meddenoise.volume import Volume

__all__ = ["VoxelCache"]

_VERSION = 1
_ABOUT = "about.json"
_TYPES = {"<f4": "float32", "<f8": "float64", "|b1": "bool"}
# What a killed process was writing is nobody's after so many seconds.
_ABANDONED = 24 * 3600
# So often an entry is written that is not found afterwards, and at most so many seconds (doubled
# each time) are waited in between: processes that write the same entry step aside by chance.
_TRIES = 5
_PAUSE = 0.02


class VoxelCache:
    """A directory of decoded voxels, one entry a scan or array.

    An entry is a directory, named after what decides its content: the files that a scan is read
    from (a hash of their bytes), its series and units and the version of this package, or else the
    voxels themselves. It holds raw voxels and, as JSON, their shape, a checksum, the affine, units
    and modality; nothing else of a header. Entries appear whole or not at all, so that several
    processes may share the directory; one whose checksum does not fit is made anew.

    What comes out is mapped into memory: the system reads voxels when they are looked at and lets
    go of them when memory is short. Changing such an array does not change the file.

    Args:
        directory: made when the first entry is.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._hashes: dict[Path, str] = {}
        self._sweep()

    def decoded(self, scan: ScanFile, units: str, read: Callable[[], Volume]) -> Volume:
        """The scan as ``read`` gives it, without its header; read only if it is not there yet.

        Args:
            scan: whose files decide whether it is.
            units: what the voxels are said to be in.
            read: reads it.

        Raises:
            OutputError: the cache cannot be written.
            FileError: the scan's files cannot be read.
        """
        try:
            content = scan_hash(scan, self._hashes)
        except OSError as fault:
            raise FileError(f"{scan.path} cannot be read: {fault.strerror or fault}.") from fault
        key = _name("decoded", __version__, content, scan.format, scan.series or "", units)
        return self._volume(key, read)

    def kept(self, volume: Volume) -> Volume:
        """The same volume, without its header, with its voxels in the cache.

        Raises:
            OutputError: the cache cannot be written.
        """
        padding = None if volume.padding is None else self.array(volume.padding)
        return replace(volume, array=self.array(volume.array), padding=padding, source=None)

    def array(self, array: NDArray[Any]) -> NDArray[Any]:
        """The same array, mapped from the cache.

        Args:
            array: float32, float64 or bool.

        Raises:
            OutputError: the cache cannot be written.
        """
        array = np.ascontiguousarray(array)
        digest = hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()
        key = _name("array", _kind(array), array.shape, digest)
        return self._entry(key, lambda: ({"voxels": array}, {}))[0]["voxels"]

    def clear(self) -> None:
        """Remove the directory with all entries; arrays that came from it stay good."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _volume(self, key: str, read: Callable[[], Volume]) -> Volume:
        def make() -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
            volume = read()
            arrays: dict[str, NDArray[Any]] = {"voxels": volume.array}
            if volume.padding is not None:
                arrays["padding"] = volume.padding
            about = {
                "affine": volume.affine.tolist(),
                "units": volume.units,
                "modality": volume.modality,
                "history": list(volume.history),
            }
            return arrays, about

        arrays, about = self._entry(key, make)
        return Volume(
            arrays["voxels"],
            np.array(about["affine"]),
            units=about["units"],
            modality=about["modality"],
            padding=arrays.get("padding"),
            history=tuple(about["history"]),
        )

    def _entry(
        self, key: str, make: Callable[[], tuple[dict[str, NDArray[Any]], dict[str, Any]]]
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and description of an entry; made if it is missing or damaged."""
        place = self.directory / key
        found = _opened(place)
        if found is not None:
            return found
        arrays, about = make()
        refused = None
        for tried in range(_TRIES):
            try:
                with atomic_directory(place, overwrite=True) as part:
                    _fill(part, arrays, about)
            except OutputError as fault:
                refused = fault  # or another process was quicker: then its entry is as good
            found = _opened(place)
            if found is None:
                # For a moment it is not there while another process puts its own in place.
                time.sleep(random.uniform(0, _PAUSE * 2**tried))
                found = _opened(place)
            if found is not None:
                return found
        raise refused or OutputError(
            f"{place} cannot be read back as it was written: look at that disk, or give "
            "another data.cache_directory."
        )

    def _sweep(self) -> None:
        """Remove what killed processes left half-written."""
        for part in self.directory.glob(".*.part-*"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(part, ignore_errors=True)


def _name(*parts: object) -> str:
    return hashlib.sha256(json.dumps([_VERSION, *map(str, parts)]).encode()).hexdigest()[:40]


def _kind(array: NDArray[Any]) -> str:
    return array.dtype.newbyteorder("<").str


def _fill(place: Path, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> None:
    told: dict[str, Any] = {"version": _VERSION, **about, "arrays": {}}
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array, dtype=np.dtype(_kind(array)))
        bytes_ = raw.reshape(-1).view(np.uint8)
        with open(place / f"{name}.bin", "wb") as stream:
            stream.write(bytes_.data)
        told["arrays"][name] = {
            "type": _kind(raw),
            "shape": list(raw.shape),
            "crc32": zlib.crc32(bytes_.data),
        }
    (place / _ABOUT).write_text(json.dumps(told), encoding="utf-8")


def _opened(place: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
    """An entry's arrays and description; ``None`` if it is not there, or damaged."""
    try:
        told = json.loads((place / _ABOUT).read_text(encoding="utf-8"))
        if told["version"] != _VERSION:
            return None
        arrays = {}
        for name, each in told["arrays"].items():
            array = _mapped(place / f"{name}.bin", each["type"], tuple(each["shape"]))
            if array is None or zlib.crc32(array.reshape(-1).view(np.uint8).data) != each["crc32"]:
                return None
            arrays[name] = array
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        return None  # a RuntimeError is torch's, of a file that has gone since it was measured
    return arrays, told


def _mapped(file: Path, kind: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """A file's voxels; ``None`` if it is too short or too long."""
    import torch

    count = int(np.prod(shape))
    if file.stat().st_size != count * np.dtype(kind).itemsize:
        return None
    # By torch: it keeps no file open for it, of which a process may have a thousand only.
    mapped = torch.from_file(
        str(file), shared=False, size=count, dtype=getattr(torch, _TYPES[kind])
    )
    return mapped.numpy().reshape(shape)
