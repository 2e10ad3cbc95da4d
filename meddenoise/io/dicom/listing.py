"""Which series lie below a directory, for batches."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from secrets import token_bytes
from typing import NamedTuple

from meddenoise.errors import FileError
from meddenoise.io.dicom.dicomdir import expanded
from meddenoise.io.dicom.files import DamagedFile, DicomFile, open_files
from meddenoise.io.dicom.grouping import Stack, named, stacks_of
from meddenoise.io.dicom.pixels import quiet
from meddenoise.io.dicom.values import DamagedElement, blaming, text

__all__ = ["Listed", "list_series", "study_of"]

_KEY = token_bytes(16)  # so that a patient's number cannot be guessed by trying all there are


class Listed(NamedTuple):
    """A series, or a damaged file.

    Attributes:
        place: the directory that holds it, or the file.
        series: what chooses it there; ``None``: nothing need.
        relative: where its output goes.
        patient: see :class:`meddenoise.io.ScanFile`.
        study: see there.
    """

    place: Path
    series: str | None
    relative: Path
    patient: str = ""
    study: str = ""


def list_series(paths: list[Path], root: Path, series: str | None = None) -> list[Listed]:
    """All series among files.

    A single DICOMDIR stands for the files that it names. A damaged file is listed by itself, so
    that reading it says why; but not where reading a series that is listed will say it.

    Args:
        paths: DICOM files, or what are called so.
        root: where the search began.
        series: only those of this UID, number or description, and no damaged files.

    Raises:
        FileError: there is none of that name.
    """
    with quiet():
        if len(paths) == 1:
            paths = expanded(paths[0])
        images, _, damaged = open_files(paths)
        families = _families(images)
        stacks, broken = _stacks(families.values())
    entries = [(_home(stack), stack) for stack in stacks]
    crowd = Counter(home for home, _ in entries)
    if series is None:
        broken += _apart(damaged, stacks)
    else:
        chosen = named(stacks, series, root)
        entries, broken = [entry for entry in entries if entry[1] in chosen], []
    listed: list[Listed] = []
    taken: set[Path] = set()
    numbers = _Numbers(families)
    for home, stack in entries:
        relative = home.relative_to(root)
        if crowd[home] > 1 or relative == Path():
            relative = relative / _folder_name(stack)
        place = _unique(relative, taken)
        where, name = numbers.of(stack, home, series)
        study = _study(stack.files[0])
        listed.append(Listed(where, name or None, place, _patient(stack), study))
    listed.extend(Listed(path, None, path.relative_to(root)) for path in broken)
    return listed


def study_of(directory: Path) -> str:
    """The StudyInstanceUID of the series in a directory; ``""`` where its first image has none."""
    with quiet():
        for path in sorted(path for path in directory.iterdir() if path.is_file()):
            images, _, _ = open_files([path])  # others are no images, as those that a desktop keeps
            if images:
                return _study(images[0])
    return ""


def _study(file: DicomFile) -> str:
    """``""`` as well where it is damaged, which reading the scan tells of."""
    try:
        with quiet():
            return text(file.header, "StudyInstanceUID")
    except DamagedElement:
        return ""


def _patient(stack: Stack) -> str:
    told = stack.patient
    return blake2b(told.encode(), key=_KEY, digest_size=8).hexdigest() if told else ""


def _families(images: list[DicomFile]) -> dict[str, list[DicomFile]]:
    families: dict[str, list[DicomFile]] = defaultdict(list)
    for image in images:
        families[image.family].append(image)
    return families


def _stacks(families: Iterable[list[DicomFile]]) -> tuple[list[Stack], list[Path]]:
    """Series by series, so that a damaged one, of which a file is named, does not hide others."""
    stacks: list[Stack] = []
    broken: list[Path] = []
    for members in families:
        try:
            with blaming(members[0].path):
                stacks.extend(stacks_of(members))
        except FileError:
            broken.append(members[0].path)
    return stacks, broken


def _apart(damaged: list[DamagedFile], stacks: list[Stack]) -> list[Path]:
    """Damaged files that no series needs; of several that were one series, the first."""
    homes = {stack: _home(stack) for stack in stacks}
    found: dict[tuple[Path, str], Path] = {}
    for file in damaged:
        if any(
            home in file.path.parents and file.series in (None, stack.series)
            for stack, home in homes.items()
        ):
            continue
        found.setdefault((file.path.parent, file.series or file.path.name), file.path)
    return list(found.values())


def _home(stack: Stack) -> Path:
    return _common([file.path for file in stack.files])


def _common(paths: list[Path]) -> Path:
    return Path(os.path.commonpath([path.parent for path in paths]))


class _Numbers:
    """What chooses each stack in the place that it is read from.

    Stacks of one UID are told apart by number, which counts those that lie in the same place: where
    they are in several directories, each has its number among the fewer that are read there.
    """

    def __init__(self, families: Mapping[str, list[DicomFile]]) -> None:
        self._families = families
        self._whole = {
            family: _common([file.path for file in members]) for family, members in families.items()
        }
        self._below: dict[str, dict[Path, list[DicomFile]]] = {}
        self._stacks: dict[tuple[str, Path], list[Stack]] = {}

    def of(self, stack: Stack, home: Path, series: str | None) -> tuple[Path, str]:
        """The place, and what chooses it there.

        One that was asked for by its number among all is read where that holds.
        """
        family = stack.files[0].family
        whole = self._whole[family]
        asked = series == stack.name != stack.series
        if home != whole and not asked:
            for here in self._in(family, home):
                if _frames(here) == _frames(stack):
                    return home, here.name
        return whole, stack.name

    def _in(self, family: str, home: Path) -> list[Stack]:
        if (family, home) not in self._stacks:
            if family not in self._below:
                self._below[family] = _by_directory(self._families[family], self._whole[family])
            with quiet():
                self._stacks[family, home] = stacks_of(self._below[family][home])
        return self._stacks[family, home]


def _by_directory(files: list[DicomFile], top: Path) -> dict[Path, list[DicomFile]]:
    """The files in and below each directory below ``top``."""
    found: dict[Path, list[DicomFile]] = defaultdict(list)
    for file in files:
        for directory in file.path.parents:
            if directory == top:
                break
            found[directory].append(file)
    return found


def _frames(stack: Stack) -> list[tuple[Path, int]]:
    return [(frame.file.path, frame.index) for channel in stack.frames for frame in channel]


def _folder_name(stack: Stack) -> str:
    number = text(stack.frames[0][0].file.header, "SeriesNumber")
    name = re.sub(r"[^0-9A-Za-z]+", "", number)
    return f"series-{name or 'unnumbered'}"


def _unique(relative: Path, taken: set[Path]) -> Path:
    candidate, count = relative, 1
    while candidate in taken:
        count += 1
        candidate = relative.with_name(f"{relative.name}-{count}")
    taken.add(candidate)
    return candidate
