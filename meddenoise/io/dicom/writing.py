"""A Volume to a derived DICOM series."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meddenoise._version import __version__
from meddenoise.errors import FileError, GeometryError, MeddenoiseError, OutputError
from meddenoise.hashing import file_hash
from meddenoise.io.atomic import atomic_directory, atomic_file
from meddenoise.io.binary import Planes
from meddenoise.io.dicom.acquisition import left_to_the_source
from meddenoise.io.dicom.derive import DerivedSeries, derive
from meddenoise.io.dicom.encoding import save
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.frames import Frame
from meddenoise.io.dicom.identity import Identity
from meddenoise.io.dicom.mosaic import is_mosaic
from meddenoise.io.dicom.padding import kept_measured, padding_of
from meddenoise.io.dicom.pixels import decode, is_lossy, quiet
from meddenoise.io.dicom.source import DicomSource
from meddenoise.io.dicom.values import blaming, text
from meddenoise.io.formats import sniff
from meddenoise.io.isolated import Codecs
from meddenoise.io.source import HeaderSource, same_grid
from meddenoise.io.write_report import WriteReport
from meddenoise.volume import Volume

__all__ = ["check_series", "write_series"]

# The slice (rows, columns) of a channel and number.
Pictures = Callable[[int, int], NDArray[np.floating]]


def write_series(
    volume: Volume,
    target: Path,
    source: HeaderSource | None,
    *,
    overwrite: bool,
    derivation: str,
    compress: str | None = None,
    deterministic_uids: bool = False,
    keep_private: bool = False,
    planes: Planes | None = None,
) -> WriteReport:
    """Write a directory of instances, or one file if the target is called ``.dcm``.

    With ``planes`` the voxels are theirs, one channel after the other, and not the volume's; the
    source then has one slice a file, and its padding is looked for in the files again.

    Raises:
        OutputError: the target exists or cannot be written, or the voxels do not fit, or the
            codec cannot hold them without loss.
        GeometryError: the volume lies no longer on the source's grid.
    """
    source = check_series(volume, target, source)
    identity = Identity(_work(volume, source, derivation) if deterministic_uids else None)
    series = DerivedSeries(
        uid=identity.series(),
        study=identity.study(),
        derivation=derivation,
        history=volume.history,
        made=datetime.datetime.now(),
        lossy=any(is_lossy(file) for file in source.instances),
        keep_private=keep_private,
        compress=compress,
    )
    place: AbstractContextManager[Path]
    if _is_one_file(target):
        place = atomic_file(target, overwrite=overwrite)
        names = [""]
    else:
        place = atomic_directory(target, overwrite=overwrite)
        digits = max(4, len(str(len(source.instances))))
        names = [f"IM{number:0{digits}}.dcm" for number in range(1, len(source.instances) + 1)]
    with place as part, quiet(), blaming(source.path):
        slices = _slices(volume) if planes is None else _slices_of(planes)
        clipped = _write_instances(slices, part, source, series, identity, names)
        notes = _notes(source)
    types = {str(frame.storage.dtype) for channel in source.frames for frame in channel}
    return WriteReport(
        path=target,
        format="dicom",
        dtype=" or ".join(sorted(types)),
        voxels=int(volume.array.size),
        clipped=clipped,
        files=tuple(target / name if name else target for name in names),
        notes=notes,
    )


def check_series(volume: Volume, target: Path, source: HeaderSource | None) -> DicomSource:
    """Raise where a volume cannot be written as a series; what it would be derived from.

    Raises:
        OutputError: no source, or a target that is a file or holds something else.
        GeometryError: the volume lies no longer on the source's grid.
    """
    if not isinstance(source, DicomSource):
        raise OutputError(f"{target}: a DICOM series can only be derived from a DICOM series.")
    _check_grid(volume, source)
    if not _is_one_file(target):
        _check_replaceable(target)
    elif len(source.instances) > 1:
        raise OutputError(
            f"{target}: the series has {len(source.instances)} files, which go into a directory; "
            "name one, without an extension."
        )
    return source


def _is_one_file(target: Path) -> bool:
    return target.suffix.lower() in (".dcm", ".ima")


def _check_grid(volume: Volume, source: DicomSource) -> None:
    if volume.channels != source.channels or not same_grid(source, volume):
        raise GeometryError(
            f"The volume ({volume.channels} x {volume.shape}) lies no longer on the grid of its "
            f"DICOM series ({source.channels} x {source.shape}): write it to .nii.gz instead, or "
            "undo the change of grid first."
        )


def _check_replaceable(target: Path) -> None:
    """Overwriting replaces a whole directory: only one that holds DICOM files and nothing else."""
    if not target.is_dir():
        return
    for path in target.iterdir():
        if not path.is_file() or sniff(path) != "dicom":
            raise OutputError(
                f"{target} holds {path.name}, which is no DICOM file; a series is written only to "
                "a new or empty directory, or over an older series."
            )


def _work(volume: Volume, source: DicomSource, derivation: str) -> tuple[str, ...]:
    return (__version__, *_told_apart_by(source), derivation, *volume.history)


def _told_apart_by(source: DicomSource) -> list[str]:
    """What no other series has; its very files, where an anonymiser has emptied the series' UID."""
    first = source.instances[0]
    if first.series:
        return [source.series]
    return [source.series, *(file_hash(file.path) for file in source.instances)]


def _slices(volume: Volume) -> Pictures:
    """Slices ``(rows, columns)`` of a volume in memory, each as it is asked for."""
    array = volume.array if volume.dims == 3 else volume.array[..., None]
    pictures = array.transpose(0, 3, 2, 1)
    return lambda channel, number: pictures[channel, number]


def _slices_of(planes: Planes) -> Pictures:
    """The same, of planes that come in the order of the files, one slice a file."""
    each = (part[..., k].T for part in planes for k in range(part.shape[2]))
    return lambda channel, number: next(each)


def _write_instances(
    slices: Pictures,
    part: Path,
    source: DicomSource,
    series: DerivedSeries,
    identity: Identity,
    names: list[str],
) -> int:
    where: dict[Path, list[tuple[int, int, Frame]]] = {}
    for channel, frames in enumerate(source.frames):
        for number, frame in enumerate(frames):
            where.setdefault(frame.file.path, []).append((channel, number, frame))
    clipped = 0
    with Codecs() as codecs:
        for file, name in zip(source.instances, names, strict=True):
            stored, here = _stored(slices, file, where[file.path], source, codecs)
            clipped += here
            instance = identity.instance(file, stored)
            with _damage_named(file):
                whole = range(file.frame_count)
                new = {*whole} if source.alone else {f.index for _, _, f in where[file.path]}
                dataset = derive(file, stored, series, instance, new)
            save(dataset, part / name if name else part)
    return clipped


@contextmanager
def _damage_named(file: DicomFile) -> Iterator[None]:
    """Elements that nobody had looked at before may turn out to be damaged."""
    from pydicom.errors import BytesLengthException

    try:
        yield
    except MeddenoiseError:
        raise
    except (
        ValueError, TypeError, AttributeError, KeyError, IndexError, NotImplementedError, EOFError,
        OSError, OverflowError, BytesLengthException,
    ) as error:  # fmt: skip
        reason = str(error).rstrip(".")
        raise OutputError(
            f"{file.path}: the header is damaged and cannot be written again: {reason}."
        ) from error


def _stored(
    slices: Pictures,
    file: DicomFile,
    frames: list[tuple[int, int, Frame]],
    source: DicomSource,
    codecs: Codecs,
) -> tuple[NDArray, int]:
    """The file's frames as stored values, with the padding put back, and the count of clips."""
    kind = frames[0][2].storage.dtype
    stored: NDArray = np.empty((file.frame_count, *file.size), kind)
    if len(frames) * math.prod(frames[0][2].size) != stored.size:
        # Frames of other volumes in the same file stay, and what a mosaic does not fill.
        stored[...] = _nothing(frames[0][2]) if source.alone else _unchanged(file)
    clipped = 0
    for channel, number, frame in frames:
        values = slices(channel, number)
        indices, padding = _padding(channel, number, frame, source, codecs)
        if indices is not None:
            values = np.array(values)
            values.reshape(-1)[indices] = frame.storage.intercept  # whatever it is, it is replaced
        (picture,), here = frame.storage.encode(values[None])
        if indices is not None:
            picture.reshape(-1)[indices] = padding
        clipped += here + kept_measured(picture, frame, indices)
        frame.of(stored)[...] = picture
    return stored, clipped


def _padding(
    channel: int, number: int, frame: Frame, source: DicomSource, codecs: Codecs
) -> tuple[NDArray | None, NDArray | None]:
    """Where a frame's padding lies, and what is stored there."""
    found = source.restored.get((channel, number))
    if found is None and not source.looked_through and frame.padding is not None:
        found = padding_of(frame.of(decode(frame.file, codecs)), frame)
    return (None, None) if found is None else found


def _nothing(frame: Frame) -> NDArray:
    """What is stored for a physical 0."""
    return frame.storage.encode(np.zeros((1, 1, 1)))[0]


def _unchanged(file: DicomFile) -> NDArray:
    if not file.path.exists():
        raise FileError(
            f"{file.path} is gone; its other frames, which were not part of the volume, are needed."
        )
    return decode(file)


def _notes(source: DicomSource) -> tuple[str, ...]:
    missing = [
        keyword
        for keyword in ("StudyInstanceUID", "SOPClassUID")
        if not text(source.instances[0].header, keyword)
    ]
    notes = [f"The source has no {keyword}; one was added." for keyword in missing]
    left = left_to_the_source(source.instances[0])
    frames = [frame for channel in source.frames for frame in channel]
    if left and len(frames) == sum(file.frame_count for file in source.instances):
        notes.append(f"Not repeated from the source, which is referred to: {', '.join(left)}.")
    if is_mosaic(source.instances[0].header):
        notes.append("The private elements that describe a mosaic's slices were kept.")
    return tuple(notes)
