"""A packed file that is read on from where reading stopped before."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from meddenoise.io.binary import skip_exactly

__all__ = ["Resumed"]

# As many as pass over a scan at once, and some that have stopped for good.
_MOST = 8


class _Stopped(NamedTuple):
    """An open stream, and the byte before which it stands."""

    place: int
    stream: BinaryIO
    held: ExitStack


class Resumed:
    """Opens a packed file at any byte, at little cost where reading went that far before.

    There is no way into such a file but from its beginning: for each volume of a 4-D scan that is
    read volume by volume, all volumes before it would be unpacked again.

    Args:
        begin: opens the file, unpacked, at its first voxel.
        length: bytes from there on.
        path: for messages.
    """

    def __init__(
        self, begin: Callable[[], AbstractContextManager[BinaryIO]], length: int, path: Path
    ) -> None:
        self._begin, self._length, self._path = begin, length, path
        self._stopped: list[_Stopped] = []
        self._lock = threading.Lock()
        self._process = os.getpid()
        weakref.finalize(self, _close, self._stopped)

    @contextmanager
    def between(self, first: int, last: int) -> Iterator[BinaryIO]:
        """The stream at byte ``first``; whoever leaves without a fault has read up to ``last``.

        Raises:
            FileError: it ends before or is damaged.
        """
        place, stream, held = self._nearest(first)
        with held:
            skip_exactly(stream, first - place, self._path)
            yield stream
            if last < self._length:
                self._keep(_Stopped(last, stream, held.pop_all()))

    def _nearest(self, first: int) -> _Stopped:
        if self._process != os.getpid():
            # A fork has the same open files, and where they stand: they are left to its parent.
            self._stopped.clear()
            self._lock, self._process = threading.Lock(), os.getpid()
        with self._lock:
            before = [one for one in self._stopped if one.place <= first]
            if before:
                found = max(before, key=lambda one: one.place)
                self._stopped.remove(found)
                return found
        held = ExitStack()
        return _Stopped(0, held.enter_context(self._begin()), held)

    def _keep(self, one: _Stopped) -> None:
        with self._lock:
            self._stopped.append(one)
            oldest = self._stopped[:-_MOST]
            del self._stopped[:-_MOST]
        _close(oldest)


def _close(stopped: list[_Stopped]) -> None:
    for one in stopped:
        one.held.close()
