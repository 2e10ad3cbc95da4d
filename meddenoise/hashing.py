"""A file's hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["file_hash"]


def file_hash(path: str | Path) -> str:
    """``"sha256:..."`` of a file's content, read in parts.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"
