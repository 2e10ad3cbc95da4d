"""What libraries say about odd values in foreign files is no news to the user; what we say is."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

__all__ = ["hearing", "quiet", "stay_quiet", "threads_apart"]

# Rules for warnings are of the whole process, and blocks of ``warnings.catch_warnings`` that
# overlap in two threads undo each other's. So while scans are read in one thread and denoised in
# another the rules are set once, and what is said goes by the thread that says it.
_lock = threading.Lock()
_apart: list[ExitStack] = []  # one for each block that is open; the last to end undoes the rules
_quiet: dict[object, int] = {}  # the thread of each block that is open
_heard: dict[int, tuple[int, list[str]]] = {}  # by block in order: its thread, what it heard
_always = threading.local()


def stay_quiet() -> None:
    """From now on no warnings from this thread: for those of a pool that works for a block."""
    _always.quiet = True


def _is_quiet() -> bool:
    return getattr(_always, "quiet", False) or threading.get_ident() in [*_quiet.values()]


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """No warnings in the block, and nothing from these loggers.

    What is said there may quote a header, and so name the patient. Around threads, not in them:
    both are of the whole process, but for warnings in :func:`threads_apart`, where they are of
    this thread.
    """

    def drop(_: logging.LogRecord) -> bool:
        return False

    block = object()
    with ExitStack() as stack:
        if not _apart and not _is_quiet():
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        _quiet[block] = threading.get_ident()
        stack.callback(_quiet.pop, block)
        for name in loggers:
            logger = logging.getLogger(name)
            logger.addFilter(drop)
            stack.callback(logger.removeFilter, drop)
        yield


@contextmanager
def threads_apart() -> Iterator[None]:
    """Threads that start and end in the block keep their warnings apart.

    Those of this package go on to where they went before, or to :func:`hearing`; others are no
    news. A thread in a block of :func:`quiet` says nothing, and no other is kept from it.
    """
    with _lock:
        stack = ExitStack()
        if not _apart:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", category=UserWarning, module=r"meddenoise\.")
            warnings.showwarning = _passed_to(warnings.showwarning)
        _apart.append(stack)
    try:
        yield
    finally:
        with _lock:
            _apart.remove(stack)
            if _apart:
                _apart[0].push(stack.pop_all())  # two threads may end in any order
            else:
                stack.close()


@contextmanager
def hearing() -> Iterator[list[str]]:
    """What this package warns of in the block, in this thread and those that work for it."""
    said: list[str] = []
    with threads_apart():
        with _lock:
            block = max(_heard, default=0) + 1
            _heard[block] = (threading.get_ident(), said)
        try:
            yield said
        finally:
            with _lock:
                del _heard[block]


def _passed_to(show: Callable[..., None]) -> Callable[..., None]:
    def tell(message: Warning | str, *where: object) -> None:
        if _is_quiet():
            return
        here, blocks = threading.get_ident(), [*_heard.values()]
        own = [said for thread, said in blocks if thread == here] or [said for _, said in blocks]
        if own:
            own[-1].append(str(message))
        else:
            show(message, *where)

    return tell
