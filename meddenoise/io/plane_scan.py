"""What a scan is that is read plane by plane, so that it need not fit into the memory."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import FileError
from meddenoise.io import binary
from meddenoise.io.resumed import Resumed
from meddenoise.io.source import HeaderSource, check_float64_holds, make_volume
from meddenoise.io.storage import Storage
from meddenoise.volume import Volume

__all__ = [
    "PlaneScan",
    "check_length",
    "file_planes",
    "headed",
    "middle_of",
    "middle_planes",
    "planes_a_part",
]

_PART = 2**20


class PlaneScan(ABC):
    """A scan on disk whose voxels are read plane by plane, one channel after the other.

    Attributes:
        head: the scan without its voxels: shape, affine, units and header; its array is all zeros
            and takes no memory.
        path: for messages.
    """

    head: Volume
    path: Path

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(X, Y, Z)``."""
        x, y, z = self.head.shape
        return x, y, z

    @abstractmethod
    def planes(
        self, channel: int = 0, first: int = 0, last: int | None = None
    ) -> Iterator[NDArray[np.floating]]:
        """Parts ``(X, Y, n)`` in physical units, of ``head``'s type; from ``first`` to ``last``.

        What is no measurement is no finite number.

        Raises:
            FileError: a file ends before, is damaged or cannot be read.
        """

    def originals(
        self, channel: int = 0
    ) -> Iterator[tuple[NDArray[np.floating], NDArray[np.bool_]]]:
        """All parts as they are put back where nothing is denoised, and which were measured."""
        for part in self.planes(channel):
            yield part, np.isfinite(part)

    def middle(self, voxels: int, channel: int | None = None) -> Volume:
        """The planes of :func:`middle_planes` as a scan of their own: of a channel, or of all.

        What is estimated of a scan that is not held in memory is estimated from them.
        """
        x, y, _ = self.shape
        first, last = middle_planes(self.shape, voxels)
        channels = range(self.head.channels) if channel is None else [channel]
        array = np.empty((len(channels), x, y, last - first), self.head.array.dtype)
        for place, number in zip(array, channels, strict=True):
            done = 0
            for part in self.planes(number, first, last):
                place[..., done : done + part.shape[2]] = part
                done += part.shape[2]
        return Volume(array, self.head.affine, units=self.head.units, modality=self.head.modality)


def middle_planes(shape: Sequence[int], voxels: int) -> tuple[int, int]:
    """The first of the middle planes of ``(X, Y, Z)`` and the one after the last.

    They are at least 16, or hold so many voxels.
    """
    x, y, depth = shape
    count = min(depth, max(16, voxels // (x * y)))
    first = (depth - count) // 2
    return first, first + count


def middle_of(volume: Volume, voxels: int) -> Volume:
    """Those planes of a volume in memory, as :meth:`PlaneScan.middle` has them; not copied."""
    first, last = middle_planes(volume.shape, voxels)
    here = (..., slice(first, last))
    padding = None if volume.padding is None else volume.padding[here]
    return replace(volume, array=volume.array[here], padding=padding)


def planes_a_part(shape: Sequence[int]) -> int:
    """Planes of ``(X, Y, Z)`` that are read at once: about a million voxels."""
    return max(1, _PART // (shape[0] * shape[1]))


def headed(source: HeaderSource, kind: np.dtype, **fields: Any) -> Volume:
    """A volume of zeros that takes no memory, with that header.

    Raises:
        GeometryError: its affine is singular or not finite.
    """
    array = np.broadcast_to(np.zeros((), kind), (source.channels, *source.shape))
    return make_volume(array, source, **fields)


@dataclass(frozen=True)
class FilePlanes(PlaneScan):
    """A scan whose voxels lie in one file in the order of its planes.

    Attributes:
        begin: opens the file, decompressed, at its first voxel.
        stored_type: of a voxel on disk.
        storage: its scale.
        packed: the same file, if it is compressed: planes can only be passed over by reading them.
    """

    head: Volume
    begin: Callable[[], AbstractContextManager[BinaryIO]]
    stored_type: np.dtype
    storage: Storage
    path: Path
    packed: Resumed | None

    def planes(
        self, channel: int = 0, first: int = 0, last: int | None = None
    ) -> Iterator[NDArray[np.floating]]:
        """As :meth:`PlaneScan.planes`."""
        x, y, depth = self.shape
        plane = x * y * self.stored_type.itemsize
        until = depth if last is None else last
        step = planes_a_part(self.shape)
        before = channel * depth
        try:
            with self._opened((before + first) * plane, (before + until) * plane) as stream:
                for begin in range(first, until, step):
                    count = min(step, until - begin)
                    stored = binary.read_array(stream, (count, y, x), self.stored_type, self.path)
                    check_float64_holds(stored, self.path)
                    if begin + step < until:
                        yield self._decoded(stored).transpose(2, 1, 0)
                if until == depth and channel == self.head.channels - 1 and self.packed:
                    binary.count_rest(stream, self.path)
            if first < until:
                # Now that it is kept where it stopped, also if nobody asks whether there is more.
                yield self._decoded(stored).transpose(2, 1, 0)
        except OSError as error:
            raise FileError(f"{self.path} cannot be read: {error.strerror or error}.") from error

    @contextmanager
    def _opened(self, first: int, last: int) -> Iterator[BinaryIO]:
        """The voxels from one byte to another."""
        if self.packed is not None:
            with self.packed.between(first, last) as stream:
                yield stream
            return
        with self.begin() as stream:
            stream.seek(first, 1)
            yield stream

    def _decoded(self, stored: NDArray) -> NDArray[np.floating]:
        kind = self.head.array.dtype
        if not self.storage.is_scaled:
            return stored.astype(kind, copy=False)
        return self.storage.decode(stored, np.empty(stored.shape, kind))


def file_planes(
    source: HeaderSource,
    begin: Callable[[], AbstractContextManager[BinaryIO]],
    stored_type: np.dtype,
    *,
    compressed: bool,
    modality: str = "",
) -> PlaneScan | None:
    """The scan with that header; ``None`` if it is no volume.

    Wide integers are read as float64: whether float32 holds them is known when all are read.
    """
    if len(source.shape) != 3 or source.storage is None:
        return None
    head = headed(source, source.storage.working_dtype, modality=modality)
    nbytes = head.array.size * stored_type.itemsize
    packed = Resumed(begin, nbytes, source.path) if compressed else None
    return FilePlanes(head, begin, stored_type, source.storage, source.path, packed)


def check_length(
    path: Path, begins: int, sizes: tuple[int, ...], kind: np.dtype, *, compressed: bool = False
) -> int:
    """Bytes after the voxels of a file; of a compressed one that is not known, and 0.

    Raises:
        FileError: there are fewer bytes than voxels can have.
    """
    nbytes = math.prod(sizes) * kind.itemsize
    left = path.stat().st_size - begins
    binary.check_claim(path, nbytes, left, compressed=compressed)
    return 0 if compressed else left - nbytes
