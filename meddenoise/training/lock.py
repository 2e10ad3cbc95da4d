"""Keeps two runs from writing into one directory at the same time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meddenoise.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows: there the second run is not noticed
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK", "run_lock"]

LOCK = ".lock"
"""The file's name."""

# File systems that know no locks must not keep anybody from training.
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def run_lock(directory: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the directory; the system lets go of it even when the process is killed.

    Args:
        directory: made if it is not there.
        wait: until another process lets go of it, instead of raising.

    Raises:
        OutputError: another process holds it, or it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory / LOCK, os.O_CREAT | os.O_RDWR, 0o666)
    except OSError as fault:
        raise OutputError(f"{directory} cannot be written: {fault.strerror}.") from None
    try:
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise OutputError(
                    f"Another run is writing to {directory}: wait for it, or choose another output."
                ) from None
            except OSError as fault:
                if fault.errno not in _UNSUPPORTED:
                    raise
        yield
    finally:
        os.close(handle)
