"""What libraries say about odd values in foreign files is no news to the user."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

__all__ = ["quiet", "stay_quiet"]

# The thread of each block that is open; and whether a thread is quiet as long as it lives.
_open: dict[object, int] = {}
_always = threading.local()


class _Here:
    """In place of a pattern for a warning's text: fits all that is said in a quiet thread."""

    def match(self, _: str) -> bool:
        """Asked by ``warnings`` in the thread that warns."""
        return getattr(_always, "quiet", False) or threading.get_ident() in [*_open.values()]


_RULE: Any = ("ignore", _Here(), Warning, None, 0)


def stay_quiet() -> None:
    """From now on no warnings from this thread: for those of a pool that works for a block."""
    _always.quiet = True


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """No warnings from this thread in the block, and nothing from these loggers.

    What is said there may quote a header, and so name the patient. Scans are read in one thread
    while another denoises, whose warnings are news: ``warnings.catch_warnings`` would swallow them,
    as it is of the whole process, and two that overlap leave each other's rules behind.
    """

    def drop(_: logging.LogRecord) -> bool:
        return False

    block = object()
    with ExitStack() as stack:
        for name in loggers:
            logger = logging.getLogger(name)
            logger.addFilter(drop)
            stack.callback(logger.removeFilter, drop)
        _open[block] = threading.get_ident()
        stack.callback(_open.pop, block)
        # It stays, and does nothing outside of blocks: taking it away would disturb other threads.
        if not warnings.filters or warnings.filters[0] is not _RULE:
            warnings.filters.insert(0, _RULE)  # type: ignore[attr-defined]
        yield
