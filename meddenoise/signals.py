"""What a process does when it is told to end."""

from __future__ import annotations

import sys
from types import FrameType
from typing import NoReturn

__all__ = ["unwind"]


def unwind(number: int, _: FrameType | None) -> NoReturn:
    """A handler for SIGTERM: unwinds, so that half-written files are removed.

    The default action leaves them. The exit status is the one by which a shell tells of the signal.
    """
    sys.exit(128 + number)
