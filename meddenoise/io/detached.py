"""Headers that name other files for their voxels: only ones beside them are opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import FileError

__all__ = ["data_files_beside", "read_parts"]

_PATTERN = re.compile(r"^(?P<name>\S*%0?\d{0,2}d\S*)\s+(?P<numbers>-?\d+(\s+-?\d+){1,3})$")
_MOST_FILES = 100_000


def data_files_beside(header: Path, said: str, listed: list[str], axes: int) -> list[Path]:
    """The files that a header names, in the order of the slowest axis.

    A header from a stranger must not make us read any other file on this machine: no paths, no
    ``..``, no URLs, no links.

    Args:
        header: the header's path.
        said: what it says: a name, ``pattern_%03d.raw FIRST LAST [STEP]``, or ``LIST``.
        listed: the names after ``LIST``.
        axes: how many axes the image has.

    Raises:
        FileError: a name leads elsewhere, or nothing is there.
    """
    words = said.split()
    if words and words[0].upper() == "LIST":
        _check_slowest(header, [int(n) for n in words[1:] if n.lstrip("-").isdigit()], axes)
        names = [name.strip() for name in listed if name.strip()]
        if not names:
            raise FileError(f"{header} announces a list of files and lists none.")
        return [_beside(header, name) for name in names]
    pattern = _PATTERN.match(said.strip())
    if pattern is None:
        return [_beside(header, said)]
    first, last, *others = (int(n) for n in pattern["numbers"].split())
    step = others[0] if others else 1
    _check_slowest(header, others[1:], axes)
    if step == 0 or not 0 <= (last - first) // step < _MOST_FILES:
        raise FileError(f"{header}: {said!r} counts no files.")
    numbers = range(first, last + (1 if step > 0 else -1), step)
    return [_beside(header, pattern["name"] % number) for number in numbers]


def _check_slowest(header: Path, said: list[int], axes: int) -> None:
    if said and said[0] != axes - 1:
        raise FileError(
            f"{header} splits {axes} axes into files of {said[0]}; they are read only if cut "
            "along the slowest axis. Convert it to one file."
        )


def _beside(header: Path, name: str) -> Path:
    plain = name.strip()
    while plain.startswith("./"):
        plain = plain[2:]
    if not plain or "/" in plain or "\\" in plain or ":" in plain or plain in (".", ".."):
        raise FileError(
            f"{header} names {name[:100]!r} for its voxels; only files in the header's own "
            "directory are opened. Move them there and name them without a path."
        )
    path = header.parent / plain
    if path.is_symlink():
        raise FileError(f"{header} names {plain!r}, a link; only a real file beside it is opened.")
    try:
        there = path.is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise FileError(f"{header} names {plain!r} for its voxels, and there is no such file.")
    return path


def read_parts(
    files: Sequence[Path],
    header: Path,
    sizes: tuple[int, ...],
    read: Callable[[BinaryIO, Path, tuple[int, ...]], NDArray],
) -> NDArray:
    """Voxels from one file, or from several that share the slowest axis evenly.

    Args:
        files: in the order of the slowest axis.
        header: who names them, for messages.
        sizes: of the whole, fastest axis first.
        read: gives the voxels of one open file of that name and those sizes, slowest axis first.

    Raises:
        FileError: the slices do not divide among the files.
    """
    if sizes[-1] % len(files):
        raise FileError(f"{header}: {len(files)} files do not share {sizes[-1]} slices evenly.")
    part = (*sizes[:-1], sizes[-1] // len(files))
    parts = []
    for file in files:
        with open(file, "rb") as data:
            parts.append(read(data, file, part))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
