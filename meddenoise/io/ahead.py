"""Work that goes on in another thread: reading ahead, and writing behind."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
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
    """A queue of a few things between two threads, either of which may give up.

    Neither side keeps a thing that has gone through: it may be a whole scan.
    """

    def __init__(self, size: int) -> None:
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._room = threading.Semaphore(size)
        self.stopped = threading.Event()

    def wait(self) -> None:
        """Wait for room for a thing; raises :class:`_Stopped` once nobody takes any more."""
        while not self.stopped.is_set():
            if self._room.acquire(timeout=0.1):
                return
        raise _Stopped

    def put(self, thing: object) -> None:
        """Put in a thing that there is room for, or the last one."""
        self._queue.put(thing)

    def take(self) -> Iterator[object]:
        """All that is put in; raises what the other side ended with."""
        while True:
            held = [self._queue.get()]
            self._room.release()
            if isinstance(held[0], _Ended):
                fault = held.pop().fault  # type: ignore[attr-defined]
                if fault is None:
                    return
                try:
                    raise fault
                finally:
                    del fault  # it leads to this frame, which would lead to it
            yield held.pop()


def ahead(items: Iterable[T], size: int = 1) -> Generator[T, None, None]:
    """The same items, made in another thread, ``size`` of them in advance, that in hand included.

    What making them raises is raised here, in its turn. The thread ends with this iterator, also
    when that is closed early.
    """
    pipe = _Pipe(size)

    def make() -> None:
        try:
            made = iter(items)
            while True:
                pipe.wait()
                try:
                    pipe.put(next(made))
                except StopIteration:
                    break
            pipe.put(_Ended())
        except _Stopped:
            close = getattr(items, "close", None)
            if close is not None:
                close()
        except BaseException as fault:
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
            pipe.wait()
            pipe.put(item)
            del item
        pipe.put(_Ended())
    except _Stopped:
        pass
    except BaseException as fault:
        pipe.put(_Ended(fault))
        thread.join()
        faults.clear()  # of the same one, which leads to this frame
        raise
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
    thread.join()
    if faults:
        raise faults.pop()
    return found[0]
