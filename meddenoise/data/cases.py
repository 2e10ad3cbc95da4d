"""Finds the scans that a configuration names, and pairs them with their clean partners."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from meddenoise.data import samples
from meddenoise.data.voxel_cache import VoxelCache
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.io import ScanFile, list_scans, read
from meddenoise.registry import nearest
from meddenoise.volume import Volume

__all__ = ["Case", "find_cases"]

_SAMPLE = re.compile(r"^sample:(?P<name>[\w-]+)(?::(?P<count>\d+))?$")


@dataclass(frozen=True)
class _Sample:
    """One subject of a procedural sample."""

    name: str
    seed: int


@dataclass(frozen=True)
class Case:
    """One scan of a run, not yet read.

    Attributes:
        name: unique within the run; safe as a file name.
        subject: all cases of one subject stay on one side of a split.
        image: what is denoised.
        target: its clean partner, if there is one.
        units: what the voxels of both are in; ``""``: what their headers say.
    """

    name: str
    subject: str
    image: ScanFile | _Sample
    target: ScanFile | _Sample | None = None
    units: str = ""

    def read_image(self, cache: VoxelCache | None = None) -> Volume:
        """The scan to denoise; from a cache without its header."""
        return self._read(self.image, cache)

    def read_target(self, cache: VoxelCache | None = None) -> Volume | None:
        """The clean partner, or the exact truth of a noisy sample, or ``None``."""
        if self.target is not None:
            return self._read(self.target, cache)
        if isinstance(self.image, _Sample) and self.image.name.endswith("-noisy"):
            truth = samples.truth(self.image.name, self.image.seed)
            return truth if truth is None or cache is None else cache.kept(truth)
        return None

    def _read(self, scan: ScanFile | _Sample, cache: VoxelCache | None) -> Volume:
        if cache is None:
            return self._in_units(scan)
        if isinstance(scan, _Sample):
            return cache.kept(self._in_units(scan))
        return cache.decoded(scan, self.units, lambda: self._in_units(scan))

    def _in_units(self, scan: ScanFile | _Sample) -> Volume:
        volume = _read(scan)
        if not self.units:
            return volume
        try:
            return volume.in_units(self.units)
        except ParameterError as fault:
            raise ConfigError(f"data.units does not fit {_where(scan)}: {fault}") from None

    @property
    def is_sample(self) -> bool:
        """Whether it is made on the spot, not read from a file."""
        return isinstance(self.image, _Sample)

    @property
    def where(self) -> str:
        """Where the scan is, for messages and for the lists a run writes."""
        return _where(self.image)

    @property
    def partner(self) -> str:
        """Where its clean partner is, ``""`` if it has none."""
        return "" if self.target is None else _where(self.target)


def find_cases(
    images: str | Sequence[str],
    targets: str | Sequence[str] | None = None,
    *,
    series: str | None = None,
    units: str = "",
) -> list[Case]:
    """All cases, in a fixed order.

    Args:
        images: a file, directory, glob, ``sample:NAME[:COUNT]``, or a list of these.
        targets: the clean partners, as many, or ``None``. They belong together by their names
            where those are the same on both sides, else by their order. Order is refused where
            the numbers in the names say otherwise, unless both sides are lists of single scans.
        series: which DICOM series to take where a directory holds several.
        units: what the voxels are in, where the headers do not say.

    Raises:
        ConfigError: no scans, not one target an image, or names and order at odds.
        FileError: a path that does not exist.
    """
    found = _find(images, series)
    partners: list[ScanFile | _Sample | None] = [None] * len(found)
    if targets is not None:
        listed = not isinstance(images, str) and not isinstance(targets, str)
        chosen = listed and len(images) == len(found) == len(targets)
        partners = _paired(found, _find(targets, None), one_by_one=chosen)
    names = _unique([_name(scan) for scan in found])
    subjects = _subjects(found)
    return [
        Case(name, subject, scan, partner, units)
        for name, subject, scan, partner in zip(names, subjects, found, partners, strict=True)
    ]


def _paired(
    images: Sequence[ScanFile | _Sample],
    targets: Sequence[ScanFile | _Sample],
    *,
    one_by_one: bool,
) -> list[ScanFile | _Sample | None]:
    """The target of each image; ``one_by_one``: the user has put each beside its partner."""
    if len(targets) != len(images):
        raise ConfigError(
            f"data.images names {len(images)} scans and data.targets {len(targets)}: each image "
            "needs one target, of the same name or in the same order."
        )
    ours, theirs = [_below(scan) for scan in images], [_below(scan) for scan in targets]
    by_name = dict(zip(theirs, targets, strict=True))
    if len(by_name) == len(targets) and set(ours) == set(theirs):
        return [by_name[name] for name in ours]
    for mine, other in zip(ours, theirs, strict=True):
        if mine != other and mine in by_name:
            raise ConfigError(
                f"By their order {mine} of data.images would get {other} of data.targets, which "
                f"also holds {mine}: give both sides the same names, or list both in order."
            )
    if not one_by_one:
        _check_numbers(ours, theirs)
    return list(targets)


def _check_numbers(ours: Sequence[str], theirs: Sequence[str]) -> None:
    """Raise where ``low_4`` would get ``full_3`` though ``full_4`` is there: one is missing."""
    wanted, given = [_numbers(name) for name in ours], [_numbers(name) for name in theirs]
    if len(set(wanted)) < len(ours) or len(set(given)) < len(theirs):
        return  # numbers that do not tell the scans of a side apart
    by_number = dict(zip(given, theirs, strict=True))
    for mine, number, other in zip(ours, wanted, theirs, strict=True):
        partner = by_number.get(number, other)
        if number and partner != other:
            raise ConfigError(
                f"By their order {mine} of data.images would get {other} of data.targets, which "
                f"also holds {partner}: give both sides the same names, or list the files of both "
                "in order."
            )


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"[0-9]+", name))


def _below(scan: ScanFile | _Sample) -> str:
    """The name below the root of the search, without its extension."""
    if isinstance(scan, _Sample):
        return _name(scan)
    return str(scan.relative.parent / _name(scan))


def _find(sources: str | Sequence[str], series: str | None) -> list[ScanFile | _Sample]:
    found: list[ScanFile | _Sample] = []
    if not sources:
        raise ConfigError("data.images and data.targets, if given, name at least one scan.")
    for source in [sources] if isinstance(sources, str) else sources:
        if not source.strip():
            # An empty path would be the directory we happen to be in.
            raise ConfigError("A path in data.images or data.targets is empty: name a scan.")
        if source.startswith("sample:"):
            found += _samples(source)
        else:
            found += _chosen(source, list_scans(source, series=series), series)
    return found


def _samples(source: str) -> list[_Sample]:
    match = _SAMPLE.match(source)
    count = int(match["count"] or 1) if match else 0
    if match is None or match["name"] not in samples.SAMPLES or count < 1:
        known = ", ".join(samples.SAMPLES)
        hint = nearest(source.split(":")[1], set(samples.SAMPLES) - {match and match["name"]})
        raise ConfigError(
            f"'{source}' is no sample{hint}: write sample:NAME or sample:NAME:COUNT, COUNT at "
            f"least 1 and NAME one of {known}."
        )
    return [_Sample(match["name"], seed) for seed in range(count)]


def _chosen(source: str, scans: list[ScanFile], series: str | None) -> list[ScanFile]:
    if scans and (series is None or scans[0].format == "dicom"):
        return scans
    if series is not None:
        raise ConfigError(f"data.series is '{series}', but {source} holds no DICOM series.")
    raise ConfigError(f"There is no scan in {source}: it needs DICOM, NIfTI, NRRD, MHA or images.")


def _read(scan: ScanFile | _Sample) -> Volume:
    if isinstance(scan, _Sample):
        return samples.sample(scan.name, scan.seed)
    return read(scan.path, series=scan.series)


def _where(scan: ScanFile | _Sample) -> str:
    return f"sample:{scan.name} #{scan.seed}" if isinstance(scan, _Sample) else str(scan.path)


def _name(scan: ScanFile | _Sample) -> str:
    if isinstance(scan, _Sample):
        return f"{scan.name}-{scan.seed}"
    stem = re.sub(r"\.(nii\.gz|[A-Za-z0-9]{2,4})$", "", scan.path.name)
    return re.sub(r"[^\w.-]+", "_", stem) or "scan"


def _subjects(scans: Sequence[ScanFile | _Sample]) -> list[str]:
    """The subject of each scan: by names and directories, and by what DICOM says of patients.

    Directories of one patient are one subject, and several patients in one directory are several
    subjects. But only if the headers tell any apart: some anonymisers give all the same number.
    """
    subjects = [_subject(scan) for scan in scans]
    patients = [scan.patient if isinstance(scan, ScanFile) else "" for scan in scans]
    known = [patient for patient in dict.fromkeys(patients) if patient]
    if len(known) < 2:
        return subjects
    for index, (scan, subject, patient) in enumerate(zip(scans, subjects, patients, strict=True)):
        if patient and subject == _where(scan) and subjects.count(subject) > 1:  # in one directory
            subjects[index] = f"{subject} (patient {known.index(patient) + 1})"
    same: dict[str, str] = {}

    def first_of(subject: str) -> str:
        while subject in same:
            subject = same[subject]
        return subject

    seen: dict[str, str] = {}
    for subject, patient in zip(subjects, patients, strict=True):
        if patient:
            one, other = first_of(seen.setdefault(patient, subject)), first_of(subject)
            if one != other:
                same[other] = one
    return [first_of(subject) for subject in subjects]


def _subject(scan: ScanFile | _Sample) -> str:
    """BIDS says ``sub-X``; else the directory below the root of the search; else the file.

    The directories below that root come first: above it, a name may be anything.
    """
    if isinstance(scan, _Sample):
        return f"{scan.name.split('-')[0]}-{scan.seed}"
    below = scan.relative.parts
    above = _root(scan).parts
    for part in (*below, *reversed(above)):
        # Of a file's name, the beginning; of a directory's, the whole.
        label = re.split("[_.]", part)[0] if part == scan.path.name else part
        if re.fullmatch(r"sub-[A-Za-z0-9]+", label):
            return label
    # With what is above, or the "images" of two sites would be one subject.
    return str(Path(*above, below[0])) if len(below) > 1 else str(scan.path)


def _root(scan: ScanFile) -> Path:
    """Where the search began: the path without the part of it that is in ``relative``."""
    path, below = scan.path.parts, scan.relative.parts
    # A DICOM series in a shared directory has one part more in ``relative``, its own name.
    shared = next(n for n in range(len(below), -1, -1) if path[len(path) - n :] == below[:n])
    return Path(*path[: len(path) - shared])


def _unique(names: Iterable[str]) -> list[str]:
    """Each name; a number is added to one that is taken, by a scan or by another's number.

    Names that differ in dots only are the same: those of DICOM series are written without.
    """
    wanted = list(names)
    given = {_undotted(name) for name in wanted}
    taken: set[str] = set()
    seen: dict[str, int] = {}
    unique = []
    for name in wanted:
        chosen = name
        while _undotted(chosen) in taken or (chosen != name and _undotted(chosen) in given):
            seen[name] = seen.get(name, 1) + 1
            chosen = f"{name}-{seen[name]}"
        taken.add(_undotted(chosen))
        unique.append(chosen)
    return unique


def _undotted(name: str) -> str:
    return name.replace(".", "_")
