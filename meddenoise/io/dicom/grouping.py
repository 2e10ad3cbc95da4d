"""Which frames make one volume.

Frames of one series belong together if they have the same class, size, orientation and pixel
spacing. Where several lie at one position they are told apart: magnitude from phase, copies
from originals, and repeats in time (echoes, b-values) become the volume's channels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from meddenoise.errors import AmbiguousInput, FileError
from meddenoise.io.dicom.files import DicomFile
from meddenoise.io.dicom.frames import Frame, frames_of
from meddenoise.io.dicom.geometry import same_place, slice_offsets
from meddenoise.io.dicom.values import number, text

__all__ = ["Stack", "choose", "named", "stacks_of"]


@dataclass(eq=False)
class Stack:
    """The frames of one volume.

    Attributes:
        series: SeriesInstanceUID.
        frames: ``frames[channel][slice]``, slices sorted along the normal.
        name: what chooses it: the UID, with ``#2`` and so on where a series holds several.
        notes: what was left out, and why.
    """

    series: str
    frames: list[list[Frame]]
    name: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[DicomFile]:
        """The files of the frames, each once, in the order of the slices."""
        seen: dict[Path, DicomFile] = {}
        for channel in self.frames:
            for frame in channel:
                seen.setdefault(frame.file.path, frame.file)
        return list(seen.values())

    @property
    def patient(self) -> str:
        """What tells this patient from others: not to be shown."""
        return _patient(self.frames[0][0].file)

    @property
    def label(self) -> str:
        """One line to choose by; nothing about the patient."""
        header = self.frames[0][0].file.header
        rows, columns = self.frames[0][0].size
        times = f" x {len(self.frames)}" if len(self.frames) > 1 else ""
        return (
            f"{self.name or '(no UID)'}: number {text(header, 'SeriesNumber') or '?'}, "
            f"{text(header, 'SeriesDescription') or 'no description'!r}, "
            f"{text(header, 'Modality') or '?'}, {columns}x{rows}x{len(self.frames[0])}{times}, "
            f"{len(self.files)} files"
        )


def stacks_of(files: list[DicomFile], *, prefer: Path | None = None) -> list[Stack]:
    """The volumes among image files, in the order of series number and place.

    Args:
        files: images, see :func:`~meddenoise.io.dicom.files.open_files`.
        prefer: of files with the same SOPInstanceUID, take this one.

    Raises:
        FileError: geometry or scale in a header make no sense.
    """
    by_series: dict[str, list[DicomFile]] = defaultdict(list)
    for file in files:
        by_series[file.family].append(file)
    stacks: list[Stack] = []
    for members in by_series.values():
        series = members[0].series
        kept, copies = _without_copies(members, prefer)
        volumes = sorted(_split(kept), key=lambda frames: -len(frames[0]))
        found = [Stack(series, frames) for frames in volumes]
        for place, stack in enumerate(found, 1):
            stack.name = series if len(found) == 1 else f"{series}#{place}"
            if copies:
                stack.notes.append(f"{copies} files with an instance's UID twice were left out.")
        stacks.extend(found)
    return sorted(stacks, key=_series_order)


def _series_order(stack: Stack) -> tuple[float, str]:
    order = number(stack.frames[0][0].file.header, "SeriesNumber")
    return float("inf") if order is None else order, stack.name


def _without_copies(files: list[DicomFile], prefer: Path | None) -> tuple[list[DicomFile], int]:
    """One file for each SOPInstanceUID and place, and how many more there are.

    In the order of their paths, however they were found: by it stacks of equal size are numbered.
    """
    files = sorted(files, key=lambda file: (file.path != prefer, file.path))
    chosen: dict[Hashable, DicomFile] = {}
    for file in files:
        chosen.setdefault((file.instance, *file.place) if file.instance else file.path, file)
    return sorted(chosen.values(), key=lambda file: file.path), len(files) - len(chosen)


def _split(files: list[DicomFile]) -> list[list[list[Frame]]]:
    result = []
    patients: dict[str, list[DicomFile]] = defaultdict(list)
    for file in files:
        patients[_patient(file)].append(file)
    for members in patients.values():
        frames = [frame for file in members for frame in frames_of(file)]
        for cluster in _alike(frames):
            for slab in _slabs(cluster):
                for member in _by_occurrence(slab):
                    result.extend(_told_apart(member))
    return result


def _patient(file: DicomFile) -> str:
    """What tells patients apart, for those files whose series UID does not."""
    return text(file.header, "PatientID") or text(file.header, "PatientName")


def _alike(frames: list[Frame]) -> list[list[Frame]]:
    """Clusters of the same class, size, orientation and pixel spacing."""
    clusters: list[list[Frame]] = []
    for frame in frames:
        for cluster in reversed(clusters):
            if _fits(cluster[0], frame):
                cluster.append(frame)
                break
        else:
            clusters.append([frame])
    return clusters


def _fits(one: Frame, other: Frame) -> bool:
    return (
        one.size == other.size
        and (one.position is None) == (other.position is None)
        and text(one.file.header, "SOPClassUID") == text(other.file.header, "SOPClassUID")
        and abs(one.orientation - other.orientation).max() < 1e-3
        and abs(one.spacing[0] / other.spacing[0] - 1) < 1e-3
        and abs(one.spacing[1] / other.spacing[1] - 1) < 1e-3
    )


def _slabs(frames: list[Frame]) -> list[list[Frame]]:
    """Parallel stacks that the header tells apart (StackID), if more than a slice is between them.

    Stacks that lie one upon the other (slabs of one volume) or in the same place are one.
    """
    stacks = _partition(frames, lambda frame: frame.stack)
    if len(stacks) < 2 or frames[0].position is None:
        return [frames]
    offsets = sorted((np.sort(slice_offsets(part)) for part in stacks), key=lambda part: part[0])
    steps = np.concatenate([np.diff(part) for part in offsets])
    steps = steps[steps >= same_place(frames[0])]
    between = [float(after[0] - before[-1]) for before, after in pairwise(offsets)]
    apart = len(steps) > 0 and min(between) > 1.5 * float(np.median(steps))
    return stacks if apart else [frames]


def _places(frames: list[Frame]) -> list[int]:
    """The number of the place along the normal at which each frame lies."""
    if frames[0].position is None:
        files = {frame.file.path: number for number, frame in enumerate(frames)}
        numbers = {path: rank for rank, path in enumerate(files)}
        return [numbers[frame.file.path] for frame in frames]
    offsets = slice_offsets(frames)
    order = np.argsort(offsets, kind="stable")
    rank = np.zeros(len(frames), dtype=int)
    steps = np.diff(offsets[order]) >= same_place(frames[0])
    rank[order] = np.concatenate([[0], np.cumsum(steps)])
    return [int(n) for n in rank]


def _by_occurrence(frames: list[Frame]) -> list[list[Frame]]:
    """Originals, second copies, third copies: frames that nothing tells apart but their UID."""
    count: dict[Hashable, int] = defaultdict(int)
    members: dict[int, list[Frame]] = defaultdict(list)
    for frame, place in zip(frames, _places(frames), strict=True):
        key = (place, frame.order, frame.kind)
        members[count[key]].append(frame)
        count[key] += 1
    return [members[n] for n in sorted(members)]


def _told_apart(frames: list[Frame]) -> list[list[list[Frame]]]:
    """Volumes: several if the image type or the acquisition tells frames at one place apart."""
    if not _crowded(frames):
        return [[_sorted(frames)]]
    single = all(frame.file.frame_count == 1 for frame in frames)
    if single:
        kinds = _partition(frames, lambda frame: frame.kind)
        if len(kinds) > 1:
            return [volume for part in kinds for volume in _told_apart(part)]
    channels = _channels(frames)
    if channels is not None:
        return [channels]
    acquisitions = _partition(frames, lambda frame: text(frame.file.header, "AcquisitionNumber"))
    if len(acquisitions) > 1 and not any(_crowded(part) for part in acquisitions):
        return [[_sorted(part)] for part in acquisitions]
    return [[_sorted(frames)]]


def _crowded(frames: list[Frame]) -> bool:
    return len(set(_places(frames))) < len(frames)


def _partition(frames: list[Frame], key: Callable[[Frame], Hashable]) -> list[list[Frame]]:
    parts: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        parts[str(key(frame))].append(frame)
    return list(parts.values())


def _sorted(frames: list[Frame]) -> list[Frame]:
    if frames[0].position is None:
        return sorted(frames, key=lambda frame: (frame.order, frame.file.path))
    offsets = slice_offsets(frames)
    places = _places(frames)
    rank = sorted(range(len(frames)), key=lambda i: (places[i], frames[i].order, offsets[i]))
    return [frames[i] for i in rank]


def _channels(frames: list[Frame]) -> list[list[Frame]] | None:
    """``frames[time][slice]`` if each place has the same number of frames, else ``None``."""
    by_place: dict[int, list[Frame]] = defaultdict(list)
    for frame, place in zip(frames, _places(frames), strict=True):
        by_place[place].append(frame)
    counts = {len(members) for members in by_place.values()}
    if len(counts) != 1:
        return None
    columns = [
        sorted(by_place[place], key=lambda frame: (frame.kind, frame.order))
        for place in sorted(by_place)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def choose(stacks: list[Stack], series: str | None, place: Path) -> Stack:
    """The stack that ``series`` names, or the only one.

    Raises:
        AmbiguousInput: several fit; the message lists them.
        FileError: none fits.
    """
    fitting = stacks if series is None else named(stacks, series, place)
    if len(fitting) == 1:
        return fitting[0]
    patients = len({stack.patient for stack in fitting})
    whose = f" of {patients} patients" if patients > 1 else ""
    raise AmbiguousInput(
        f"{place} holds {len(fitting)} series{whose}; choose one by UID, number or "
        f"description:{_listing(fitting)}"
    )


def named(stacks: list[Stack], series: str, place: Path) -> list[Stack]:
    """Those stacks that have this UID, number or description.

    Raises:
        FileError: there is none; the message lists what there is.
    """
    fitting = [stack for stack in stacks if _is_named(stack, series)]
    if not fitting:
        raise FileError(f"{place} holds no series {series!r}; there are:{_listing(stacks)}")
    return fitting


def _listing(stacks: list[Stack]) -> str:
    lines = "".join(f"\n  {stack.label}" for stack in stacks[:20])
    hidden = len(stacks) - 20
    return f"{lines}\n  and {hidden} more" if hidden > 0 else lines


def _is_named(stack: Stack, series: str) -> bool:
    header = stack.frames[0][0].file.header
    wanted = str(series).strip()
    if wanted in (stack.name, stack.series):
        return True
    order, description = text(header, "SeriesNumber"), text(header, "SeriesDescription")
    return wanted == order or wanted.lower() == description.lower()
