"""Which scans a command works on, where each result goes, and what stands in its way."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from meddenoise.errors import FileError, OutputError
from meddenoise.io import ScanFile, extension_for, list_scans
from meddenoise.io.formats import EXTENSIONS, format_of_name
from meddenoise.io.named import path_of
from meddenoise.volume import Volume

__all__ = ["Job", "check_place", "is_there", "plan", "plan_beside"]

_Path = str | os.PathLike[str]

# What is read but not written, and what is written instead.
_INSTEAD = {".jpg": ".png", ".jpeg": ".png", ".mhd": ".mha", ".nhdr": ".nrrd"}


@dataclass(frozen=True)
class Job:
    """One scan and the place of its result.

    Attributes:
        scan: what is read.
        target: a file, or a directory for a DICOM series.
        named: whether the user named the target itself, so that its extension says the format;
            else it has the scan's own name below the output directory.
        earlier: a scan planned before, whose result goes to the same place (``a.jpg`` and
            ``a.png`` both become ``a.png``); ``None`` as a rule.
    """

    scan: ScanFile
    target: Path
    named: bool
    earlier: Path | None = None

    @property
    def likely(self) -> Path:
        """:meth:`target_for`, as far as the target's name tells before the scan is read."""
        _, own = format_of_name(self.target)
        if self.named or own not in _INSTEAD:
            return self.target
        return self.target.with_name(self.target.name[: -len(own)] + _INSTEAD[own])

    def target_for(self, volume: Volume) -> Path:
        """The target, in a format that can be written (JPEG loses detail, MHD is two files)."""
        extension = extension_for(volume)
        if self.named or not extension:
            return self.target
        _, own = format_of_name(self.target)
        if own == extension:
            return self.target
        stem = self.target.name[: -len(own)] if own in EXTENSIONS else self.target.name
        return self.target.with_name(stem + extension)


def plan(
    source: _Path, output: _Path, *, series: str | None = None, besides: Sequence[_Path] = ()
) -> list[Job]:
    """Every scan in ``source`` and where its result goes.

    One scan goes to ``output`` if that names a file of a known format, or if the scan is a
    DICOM series; else, like each of several scans, into the directory ``output`` under its own
    name. Scans that lie in ``output`` already, from an earlier call, are passed over, and so are
    those in the directories ``besides``, where that call wrote as well.

    Args:
        source: a scan, a DICOM directory, a directory of scans, or a glob.
        output: a file or a directory.
        series: which DICOM series, where a directory holds several.
        besides: what else is written.

    Raises:
        FileError: there is no scan.
        OutputError: a file for several scans, an unknown extension, a name that is too long, a
            place that may not be entered, or the input's own.
    """
    place = path_of(source)
    written = [path_of(path) for path in (output, *besides)]
    for path in written:
        _check_name(path)
    scans = _chosen(list_scans(place, series=series), place, written, series)
    return _placed(scans, place, output, series)


def plan_beside(
    jobs: Sequence[Job], source: _Path, output: _Path, *, series: str | None = None
) -> list[Job]:
    """The very scans of some jobs, in their order, with places of their own in another output.

    Args:
        jobs: all that :func:`plan` made.
        source: what it made them of.
        output: a file or a directory, as there.
        series: as there.

    Raises:
        OutputError: as there.
    """
    return _placed([job.scan for job in jobs], path_of(source), output, series)


def _placed(scans: Sequence[ScanFile], place: Path, output: _Path, series: str | None) -> list[Job]:
    into = path_of(output)
    if len({scan.path for scan in scans}) == 1:
        if series is None and len(scans) == 1 and not place.exists():
            series = scans[0].series  # all that a pattern matched, whatever lies beside it
        # One scan; or several series in one directory, where reading says which there are.
        return [_single(scans[0], place, into, series, os.fspath(output).endswith(os.sep))]
    if into.is_file() or format_of_name(into)[0] is not None:
        raise OutputError(
            f"{place} holds {len(scans)} scans: give a directory as the output, not {into}."
        )
    if _same(into, place):
        raise OutputError(f"{into} is the input itself, and inputs are never overwritten.")
    return _told_apart([Job(scan, into / scan.relative, named=False) for scan in scans])


def _told_apart(jobs: Iterable[Job]) -> list[Job]:
    """The jobs, each told of the first one whose result takes its place, if there is one.

    It is said here, where all are known: whoever sees only the file that the other one left takes
    the scan for done.
    """
    first: dict[Path, Path] = {}
    told = []
    for job in jobs:
        told.append(replace(job, earlier=first.get(job.likely)))
        first.setdefault(job.likely, job.scan.path)
    return told


def _single(scan: ScanFile, place: Path, into: Path, series: str | None, slash: bool) -> Job:
    if scan.format == "zarr" and scan.path.resolve() in into.resolve().parents:
        raise OutputError(f"{into} lies in the input {scan.path}: choose an output beside it.")
    if scan.format == "dicom":
        # A glob is no place to read from; of a chosen series only its own directory is read.
        whole = place if place.is_file() or (series is None and place.exists()) else scan.path
        if whole.is_dir() and whole.resolve() in into.resolve().parents:
            raise OutputError(
                f"{into} lies in the input {whole}, which would then hold two series: choose an "
                "output beside it."
            )
        return Job(replace(scan, path=whole, series=series), into, named=True)
    known, suffix = format_of_name(into)
    if known == "zarr":  # a directory that is one scan
        return Job(scan, into, named=True)
    if into.is_dir() or (known is None and (slash or not suffix[1:].isalpha())):
        return Job(scan, into / scan.path.name, named=False)
    if known is None:
        raise OutputError(
            f"{into}: '{suffix}' is no format that is written here. Use .nii, .nii.gz, .nrrd, "
            ".mha, .zarr, .png or .tif, or end the name with / for a directory."
        )
    return Job(scan, into, named=True)


def _chosen(
    scans: Iterable[ScanFile], place: Path, written: Iterable[Path], series: str | None
) -> list[ScanFile]:
    """Without what is in the output directories."""
    inside = {
        into.resolve()
        for into in written
        if into.is_dir() and place.is_dir() and place.resolve() in into.resolve().parents
    }
    found = [s for s in scans if not inside.intersection(s.path.resolve().parents)]
    if found and (series is None or found[0].format == "dicom"):
        return found
    if series is not None:
        raise FileError(f"{place} is not DICOM, so there is no series {series!r} in it.")
    raise FileError(
        f"There is no scan in {place}: it needs DICOM, NIfTI, NRRD, MHA, zarr or images."
    )


def is_there(target: Path) -> bool:
    """Whether a result is there: results appear whole or not at all, so what is there is whole."""
    return os.path.isfile(target) or (os.path.isdir(target) and any(target.iterdir()))


def check_place(source: Path, target: Path, *, overwrite: bool) -> None:
    """Say what is in the way before minutes are spent on the scan.

    Raises:
        OutputError: the target is the input, exists, or lies where nothing can be written.
    """
    _check_name(target)
    if _same(source, target):
        raise OutputError(f"{target} is the input itself, and inputs are never overwritten.")
    empty = target.is_dir() and not any(target.iterdir())
    if os.path.lexists(target) and not empty and not overwrite:
        raise OutputError(f"{target} exists: choose another output, or say --overwrite.")
    real = Path(os.path.realpath(target)) if target.is_dir() else target
    if os.path.ismount(real):
        raise OutputError(
            f"{target} cannot be replaced by the result, as a file system is mounted there: name a "
            f"directory in it, {target / source.name}."
        )
    place = real.absolute().parent
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise OutputError(f"{target} cannot be written: {place} is no directory we may write to.")


def _check_name(target: Path) -> None:
    """Say that a name is too long or none, or out of reach, where nothing else can be asked."""
    try:
        os.lstat(target)
    except ValueError as error:
        raise OutputError(f"{str(target)!r} cannot be written: {error}.") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OutputError(
                f"{target} cannot be written: the name is too long for this file system; choose a "
                "shorter one."
            ) from error
        if error.errno == errno.EACCES:
            raise OutputError(
                f"{target} cannot be written: a directory above it may not be entered."
            ) from error


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and os.path.samefile(one, other)
