"""Work that goes on in another thread: reading ahead, and writing behind."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

__all__ = ["ahead", "behind"]

T = TypeVar("T")
R = TypeVar("R")


class _Ended:
    """The last thing in a queue: there is no more, or this went wrong."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.fault = fault


class _Stopped(Exception):
    """The other side has no more use for what is made."""


class _Pipe:
    """A queue of a few things between two threads, either of which may give up."""

    def __init__(self, size: int) -> None:
        self._queue: queue.Queue[object] = queue.Queue(size)
        self.stopped = threading.Event()

    def put(self, thing: object) -> None:
        """Wait for room; raises :class:`_Stopped` once nobody takes any more."""
        while not self.stopped.is_set():
            with suppress(queue.Full):
                return self._queue.put(thing, timeout=0.1)
        raise _Stopped

    def take(self) -> Iterator[object]:
        """All that is put in; raises what the other side ended with."""
        while True:
            thing = self._queue.get()
            if isinstance(thing, _Ended):
                if thing.fault is not None:
                    raise thing.fault
                return
            yield thing


def ahead(items: Iterable[T], size: int = 1) -> Iterator[T]:
    """The same items, made in another thread, ``size`` of them in advance.

    What making them raises is raised here, in its turn. The thread ends with this iterator, also
    when that is closed early.
    """
    pipe = _Pipe(size)

    def make() -> None:
        try:
            for item in items:
                pipe.put(item)
            pipe.put(_Ended())
        except _Stopped:
            close = getattr(items, "close", None)
            if close is not None:
                close()
        except BaseException as fault:
            with suppress(_Stopped):
                pipe.put(_Ended(fault))

    thread = threading.Thread(target=make, name="reading ahead", daemon=True)
    thread.start()
    try:
        yield from pipe.take()  # type: ignore[misc]
    finally:
        pipe.stopped.set()
        thread.join()


def behind(consume: Callable[[Iterator[T]], R], items: Iterable[T], size: int = 1) -> R:
    """``consume(items)``, with ``consume`` in another thread and the items made in this one.

    If making them raises, or the user stops it, ``consume`` sees the same fault come out of its
    iterator, so that it can clean up, and then it is raised here. What ``consume`` raises is raised
    here as well, as soon as the next item is made.
    """
    pipe = _Pipe(size)
    found: list[R] = []
    faults: list[BaseException] = []

    def use() -> None:
        try:
            found.append(consume(pipe.take()))  # type: ignore[arg-type]
        except BaseException as fault:
            faults.append(fault)
        finally:
            pipe.stopped.set()

    thread = threading.Thread(target=use, name="writing behind", daemon=True)
    thread.start()
    try:
        for item in items:
            pipe.put(item)
        pipe.put(_Ended())
    except _Stopped:
        pass
    except BaseException as fault:
        with suppress(_Stopped):
            pipe.put(_Ended(fault))
        thread.join()
        raise
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
    thread.join()
    if faults:
        raise faults[0]
    return found[0]
