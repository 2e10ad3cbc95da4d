"""Which process does a trial, so that one whose process was killed does not run for ever."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["is_gone", "this_process"]

_NAMESPACE, _MACHINE = "/proc/self/ns/pid", "/etc/machine-id"


def this_process() -> list[Any]:
    """This machine, as a hash that names nobody, and the process's number on it."""
    return [_machine(), os.getpid()]


def is_gone(process: object) -> bool:
    """Whether a process has ended, of which :func:`this_process` told.

    Of one on another machine, or in another container, nobody here can know: it is taken to be at
    work, and so is one whose number another process has got since.
    """
    import psutil

    if not isinstance(process, list) or len(process) != 2 or process[0] != _machine():
        return False
    return not psutil.pid_exists(int(process[1]))


def _machine() -> str:
    try:  # containers of one machine have process numbers of their own
        numbers = os.readlink(_NAMESPACE)
    except OSError:
        numbers = ""
    try:  # machines on one file system may have the same name
        own = Path(_MACHINE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        own = ""
    return hashlib.sha256(f"{platform.node()} {own} {numbers}".encode()).hexdigest()[:16]
