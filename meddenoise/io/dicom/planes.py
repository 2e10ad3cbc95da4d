"""A DICOM series that is read slice by slice, so that it need not fit into the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import FileError
from meddenoise.io.dicom.files import open_header
from meddenoise.io.dicom.frames import Frame
from meddenoise.io.dicom.grouping import Stack
from meddenoise.io.dicom.padding import padding_of
from meddenoise.io.dicom.pixels import decode, pool, quiet
from meddenoise.io.dicom.reading import series_head, stack_of, stack_with
from meddenoise.io.dicom.source import DicomSource
from meddenoise.io.dicom.values import blaming
from meddenoise.io.formats import dicom_among, sniff
from meddenoise.io.isolated import Codecs
from meddenoise.io.plane_scan import PlaneScan, planes_a_part
from meddenoise.io.scans import visible_files
from meddenoise.volume import Volume

__all__ = ["SeriesPlanes", "series_planes"]


@dataclass(frozen=True)
class SeriesPlanes(PlaneScan):
    """A series with one slice in each file.

    Padding is not a number in :meth:`planes`, and what the file says in :meth:`originals`.

    Attributes:
        frames: ``frames[channel][slice]``.
    """

    head: Volume
    path: Path
    frames: tuple[tuple[Frame, ...], ...]

    def planes(
        self, channel: int = 0, first: int = 0, last: int | None = None
    ) -> Iterator[NDArray[np.floating]]:
        """As :meth:`PlaneScan.planes`."""
        for values, measured in self._parts(self.frames[channel][first:last]):
            values[~measured] = np.nan
            yield values

    def originals(
        self, channel: int = 0
    ) -> Iterator[tuple[NDArray[np.floating], NDArray[np.bool_]]]:
        """As :meth:`PlaneScan.originals`."""
        yield from self._parts(self.frames[channel])

    def _parts(
        self, frames: Sequence[Frame]
    ) -> Iterator[tuple[NDArray[np.floating], NDArray[np.bool_]]]:
        step = planes_a_part(self.shape)
        with blaming(self.path), Codecs() as codecs, pool() as threads:

            def read(frame: Frame) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
                return self._slice(frame, codecs)

            for begin in range(0, len(frames), step):
                with quiet():  # not while others compute with what is read
                    slices = [*threads.map(read, frames[begin : begin + step])]
                values = np.stack([values for values, _ in slices])
                measured = np.stack([measured for _, measured in slices])
                yield values.transpose(2, 1, 0), measured.transpose(2, 1, 0)

    def _slice(
        self, frame: Frame, codecs: Codecs
    ) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        """``(rows, columns)`` in physical units, and where there is no padding."""
        picture = frame.of(decode(frame.file, codecs))
        values: NDArray[np.floating] = np.empty((1, *frame.size), self.head.array.dtype)
        frame.storage.decode(picture[None], values)
        measured = np.isfinite(values[0])
        found = padding_of(picture, frame)
        if found is not None:
            measured.reshape(-1)[found[0]] = False
        return values[0], measured


def series_planes(
    place: Path, *, series: str | None = None, at_least: int = 0
) -> SeriesPlanes | None:
    """The series in a directory, or of a file, to be read slice by slice.

    ``None`` where several slices lie in one file (enhanced objects, mosaics), which is decoded as a
    whole, where there is one slice only, and where the files are too few for ``at_least`` so many
    voxels, if all are as large as the first: then not every header need be read for nothing.

    Raises:
        FileError, AmbiguousInput, GeometryError: as :func:`meddenoise.read`, for what headers tell.
    """
    with quiet(), blaming(place):
        files = _dicom_files(place)
        if not files or _voxels(place if place.is_file() else files[0], len(files)) < at_least:
            return None
        if place.is_dir():
            stack, where = stack_of(files, place, series=series)
        else:
            stack, where = stack_with(place, series=series)
        if not _one_by_one(stack):
            return None
        head = series_head(stack, where)
    assert isinstance(head.source, DicomSource)
    return SeriesPlanes(head, head.source.path, head.source.frames)


def _dicom_files(place: Path) -> list[Path]:
    try:
        whole = place.is_dir()
        files = [*visible_files(place if whole else place.parent)]
        # Of a whole directory a link to nowhere may be a slice, and is at fault.
        kinds = {p: sniff(p) for p in files if p.is_file() or (whole and not p.is_dir())}
    except OSError as error:
        at_fault = error.filename or place
        raise FileError(f"{at_fault} cannot be read: {error.strerror or error}.") from error
    if "dicom" not in kinds.values():
        return []
    return dicom_among(kinds)


def _voxels(path: Path, count: int) -> int:
    """What so many files hold, if each is as large as that one; none if it cannot be read."""
    try:
        rows, columns = open_header(path).size
    except FileError:
        return 0  # reading it in earnest says why
    return rows * columns * count


def _one_by_one(stack: Stack) -> bool:
    frames = [frame for channel in stack.frames for frame in channel]
    return len(stack.frames[0]) > 1 and all(
        frame.file.frame_count == 1 and frame.size == frame.file.size for frame in frames
    )
