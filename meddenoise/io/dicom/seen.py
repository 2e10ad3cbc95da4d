"""Which series a file was seen to be of, so that others are not parsed for each series anew."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

__all__ = ["remember", "without_others"]

_File = tuple[str, int, int, int]

# Of the largest directories; then it begins anew.
_MOST = 200_000
_seen: dict[_File, str] = {}


def remember(path: Path, series: str) -> None:
    """A file was parsed, and has this SeriesInstanceUID.

    Args:
        path: of the file.
        series: ``""``, where an anonymiser has emptied it, says nothing.
    """
    file = _file(path)
    if not series or file is None:
        return
    if len(_seen) >= _MOST:
        _seen.clear()
    _seen[file] = series


def without_others(paths: Sequence[Path], series: str | None) -> list[Path]:
    """The files without those that are known to be of another series.

    A directory of S series costs S squared, if each of its files is parsed for each series: exports
    of archives have them all in one. A file that has changed since is not known.

    Args:
        paths: DICOM files.
        series: a UID, or one with the number of a stack, ``UID#2``. All files stay where it is
            anything else (a number, a description), or that of no file which is known.
    """
    wanted = (series or "").partition("#")[0]
    known = {path: _seen.get(file) for path in paths if (file := _file(path)) is not None}
    if not wanted or wanted not in known.values():
        return list(paths)
    return [path for path in paths if known.get(path) in (None, wanted)]


def _file(path: Path) -> _File | None:
    """What is another where the file is another, or has changed."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return os.path.abspath(path), found.st_ino, found.st_size, found.st_mtime_ns
