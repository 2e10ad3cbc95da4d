"""Chunks packed by Blosc, which unpacks one that ends too early out of memory behind it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from meddenoise.errors import DamagedScan

__all__ = ["check_chunks"]

_HEADER = 16


def check_chunks(array: Any, place: Path, index: Sequence[int | slice]) -> None:
    """Raise for a chunk of Blosc that is shorter than its own header says.

    Not of chunks within shards, whose index says how long each is.

    Args:
        array: a ``zarr.Array``.
        place: the directory that it lies in.
        index: what of it is going to be read: a number or a slice for each axis.

    Raises:
        DamagedScan: names the file.
    """
    packed = any("blosc" in type(codec).__name__.lower() for codec in array.compressors)
    if not packed or array.shards is not None:
        return
    ranges = []
    for part, size, chunk in zip(index, array.shape, array.chunks, strict=True):
        first, last = (part, part + 1) if isinstance(part, int) else part.indices(size)[:2]
        ranges.append(range(first // chunk, -(-last // chunk)))
    for where in itertools.product(*ranges):
        _check(place / array.metadata.encode_chunk_key(where))


def _check(path: Path) -> None:
    try:
        with open(path, "rb") as chunk:
            head = chunk.read(_HEADER)
    except FileNotFoundError:
        return  # all of it is the fill value
    # Blosc 1: version, its own, flags, size of a number; then sizes unpacked, of a block, packed.
    claimed = int.from_bytes(head[12:16], "little")
    if len(head) < _HEADER or claimed > path.stat().st_size:
        raise DamagedScan(f"{path} is truncated: a chunk of {claimed:,} bytes ends too early.")
