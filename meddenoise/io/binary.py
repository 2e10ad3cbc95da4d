"""Voxels from and to files: never memory that a header made up, never a whole volume twice."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan
from meddenoise.io.storage import Storage

__all__ = [
    "Planes",
    "check_claim",
    "count_rest",
    "decompressor",
    "is_gzip",
    "open_at",
    "open_maybe_gzip",
    "read_array",
    "read_exactly",
    "skip_exactly",
    "unpacked_at",
    "write_voxels",
]

# Deflate cannot expand by more than this; bzip2 can, but not on anything measured.
_MOST_EXPANSION = 1032
_BLOCK = 1 << 24

Planes = Iterable[NDArray[np.floating]]
"""Parts ``(X, Y, n)`` of a scan in the order of its planes."""

DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, OSError, ValueError)


def is_gzip(path: Path) -> bool:
    """Whether the first bytes are gzip's."""
    with open(path, "rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def open_maybe_gzip(path: Path) -> BinaryIO:
    """The file's content, decompressed on the fly if it is gzip."""
    if is_gzip(path):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return open(path, "rb")


def open_at(path: Path, offset: int) -> BinaryIO:
    """The file, at a certain byte."""
    stream = open(path, "rb")  # noqa: SIM115  (the caller closes it)
    stream.seek(offset)
    return stream


@contextmanager
def unpacked_at(path: Path, offset: int, kind: str) -> Iterator[BinaryIO]:
    """What is packed in the file from a certain byte on; ``kind`` as for :func:`decompressor`."""
    # Neither gzip nor bzip2 closes a file that it was given.
    with open_at(path, offset) as stream, decompressor(kind, stream) as packed:
        yield packed


def check_claim(path: Path, nbytes: int, available: int, *, compressed: bool) -> None:
    """Raise if a header claims more voxels than the file can possibly hold.

    Raises:
        FileError: says both numbers.
    """
    most = available * _MOST_EXPANSION + 4096 if compressed else available
    if nbytes > most:
        raise DamagedScan(
            f"{path}: the header claims {nbytes:,} bytes of voxels, but the file has only "
            f"{available:,}{' compressed' if compressed else ''}: it is truncated or damaged."
        )


def read_exactly(stream: BinaryIO | IO[bytes], nbytes: int, path: Path) -> bytes:
    """``nbytes`` from the stream.

    Raises:
        FileError: the stream ends or breaks before.
    """
    try:
        data = stream.read(nbytes)
    except DAMAGED as error:
        raise DamagedScan(f"{path} is damaged or truncated: {error}.") from error
    if len(data) != nbytes:
        raise DamagedScan(f"{path} is truncated: {nbytes:,} bytes expected, {len(data):,} there.")
    return data


def skip_exactly(stream: BinaryIO | IO[bytes], nbytes: int, path: Path) -> None:
    """Pass over ``nbytes`` of the stream, without keeping them.

    Raises:
        FileError: the stream ends or breaks before.
    """
    left = nbytes
    try:
        while left > 0 and (block := stream.read(min(left, _BLOCK))):
            left -= len(block)
    except DAMAGED as error:
        raise DamagedScan(f"{path} is damaged or truncated: {error}.") from error
    if left > 0:
        raise DamagedScan(
            f"{path} is truncated: {nbytes:,} bytes are to be passed over, {nbytes - left:,} there."
        )


def read_array(
    stream: BinaryIO | IO[bytes], shape: tuple[int, ...], dtype: np.dtype, path: Path
) -> NDArray:
    """A C-ordered array of the given shape, straight from the stream.

    Raises:
        FileError: the stream ends or breaks before the array is full.
    """
    values = np.empty(shape, dtype)
    room = _bytes_of(values)
    done = 0
    try:
        while done < len(room):
            got = stream.readinto(room[done : done + _BLOCK])  # type: ignore[union-attr]
            if not got:
                break
            done += got
    except DAMAGED as error:
        raise DamagedScan(f"{path} is damaged or truncated: {error}.") from error
    if done != len(room):
        raise DamagedScan(
            f"{path} is truncated: the header claims {len(room):,} bytes of voxels, "
            f"{done:,} are there."
        )
    return values


def _bytes_of(values: NDArray) -> memoryview:
    """The bytes of a C-contiguous array, without a copy."""
    return values.reshape(-1).view(np.uint8).data


def write_voxels(
    stream: Any,
    values: NDArray[np.floating] | Planes,
    storage: Storage,
    byteorder: Literal["<", ">"] = "<",
) -> int:
    """Encode values and write them, a part at a time, and return how many voxels were clipped.

    Args:
        stream: anything with ``write``.
        values: physical values in the file's order of axes, slowest first; or parts of it,
            ``(X, Y, n)``.
        storage: type and scale of what is written.
        byteorder: of what is written.

    Raises:
        OutputError: NaN or infinity, and the type is an integer.
    """
    clipped = 0
    kind = storage.dtype.newbyteorder(byteorder)
    parts = [values] if isinstance(values, np.ndarray) else (part.transpose() for part in values)
    for part in parts:
        for stored, here in storage.encode_in_parts(part):
            stream.write(_bytes_of(stored.astype(kind, copy=False)))
            clipped += here
    return clipped


def count_rest(stream: BinaryIO | IO[bytes], path: Path) -> int:
    """Bytes after the voxels; for gzip, this also checks the checksum at the end.

    Raises:
        FileError: the compressed data is damaged.
    """
    rest = 0
    try:
        while block := stream.read(1 << 20):
            rest += len(block)
            if rest > 1 << 24:
                break
    except DAMAGED as error:
        raise DamagedScan(f"{path} is damaged: {error}.") from error
    return rest


def decompressor(kind: str, stream: BinaryIO) -> BinaryIO:
    """The stream behind ``kind`` of compression: ``"gzip"``, ``"bzip2"`` or ``"raw"``."""
    if kind == "gzip":
        return gzip.GzipFile(fileobj=stream, mode="rb")  # type: ignore[return-value]
    if kind == "bzip2":
        return bz2.BZ2File(stream, "rb")  # type: ignore[return-value]
    return stream
