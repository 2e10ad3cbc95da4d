"""Paths as users name them."""

from __future__ import annotations

import os
from pathlib import Path

from meddenoise.errors import FileError

__all__ = ["path_of"]


def path_of(named: str | os.PathLike[str]) -> Path:
    """``~`` is the home directory; before what is no user it belongs to the name, as in shells.

    Raises:
        FileError: an empty name, which ``Path`` takes for the directory where one is.
    """
    if not os.fspath(named):
        raise FileError("An empty path was given: name a file or a directory.")
    return Path(os.path.expanduser(named))
