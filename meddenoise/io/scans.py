"""Finding scans: below a directory, behind a glob, or the one file."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from meddenoise.errors import FileError
from meddenoise.io.formats import format_of_name, is_store, not_a_scan, sniff
from meddenoise.io.named import path_of

__all__ = ["ScanFile", "list_scans", "visible_files"]


@dataclass(frozen=True, order=True)
class ScanFile:
    """One scan that :func:`~meddenoise.io.read` can read.

    Attributes:
        path: the file, or the directory that holds a DICOM series or is a zarr store.
        format: ``"dicom"``, ``"nifti"``, ``"nrrd"``, ``"metaimage"``, ``"zarr"``, ``"png"``,
            ``"tiff"`` or ``"jpeg"``.
        series: for DICOM, what to pass to ``read(path, series=...)``; else ``None``.
        relative: the place below the directory that was searched, unique in one listing; name
            outputs after it.
        patient: for DICOM, equal for scans of one patient; it says nothing of who that is, and
            nothing in another process. ``""`` where the header does not tell.
        study: for DICOM, the StudyInstanceUID, which a result shares; else ``""``.
    """

    path: Path
    format: str
    series: str | None
    relative: Path
    patient: str = field(default="", repr=False, compare=False)
    study: str = field(default="", repr=False, compare=False)


def visible_files(directory: Path) -> Iterator[Path]:
    """All files below a directory in a fixed order; hidden ones are passed over.

    A zarr store below it is one of them, and not looked into.
    """
    for root, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if not name.startswith("."))
        stores = [name for name in names if is_store(Path(root, name))]
        yield from (Path(root, name) for name in stores)
        names[:] = [name for name in names if name not in stores]
        for name in sorted(files):
            # Reading a pipe waits for whoever writes to it.
            if not name.startswith(".") and not Path(root, name).is_fifo():
                yield Path(root, name)


def list_scans(path: str | os.PathLike[str], *, series: str | None = None) -> list[ScanFile]:
    """Every scan below a directory or matching a glob, or the one scan that a file is.

    Files that are no scans (text, JSON, b-values, hidden files) are passed over. Each DICOM
    series is one entry. A damaged file whose name says that it is a scan is listed, so that
    reading it reports the damage.

    Args:
        path: a directory (searched through), a file, or a glob such as ``"data/**/*.nii.gz"``. A
            file that a glob comes to by several ways, through linked directories, is listed once.
        series: only DICOM series of this UID, number or description.

    Returns:
        The scans in the order of their paths; empty if a directory holds none.

    Raises:
        FileError: nothing is there, a glob matches nothing, or no series is called that; the
            message lists those that there are.
    """
    place = path_of(path)
    if place.is_dir() and not is_store(place):
        return _scans_among(list(visible_files(place)), place, series)
    if place.exists():
        if not place.is_file() and not place.is_dir():
            raise FileError(f"{place} is neither a file nor a directory.")
        found = _scans_among([place], place.parent)
        if not found:
            raise not_a_scan(place, _sniffed(place))
        if series is not None and len(found) > 1:  # a DICOMDIR
            return _scans_among([place], place.parent, series)
        if series is None or found[0].format != "dicom":
            return found
        # Of which series a file is, those beside it tell: reading says if it is another.
        return [replace(found[0], series=series)]
    if glob.has_magic(str(place)):
        matches = sorted(_matching(place))
        if not matches:
            raise FileError(f"{place}: nothing matches this pattern.")
        return _scans_of_matches(matches, _fixed_part(place), series)
    raise FileError(f"{place}: no such file or directory.")


def _fixed_part(pattern: Path) -> Path:
    fixed = []
    for part in pattern.parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return Path(*fixed) if fixed else Path()


def _matching(pattern: Path, top: Path | None = None) -> list[Path]:
    """What a pattern matches below a directory, as Python's glob has it, but links end in ``**``.

    glob itself follows them, each round longer and in more ways than the last.
    """
    top = top or Path()
    if "**" not in pattern.parts:
        return [top / match for match in glob.glob(str(pattern), root_dir=top)]
    place = pattern.parts.index("**")
    head, tail = Path(*pattern.parts[:place]), pattern.parts[place + 1 :]
    found: list[Path] = []
    for start in _matching(head, top) if glob.has_magic(str(head)) else [top / head]:
        for folder in _folders(start):
            found += _matching(Path(*tail), folder) if tail else [folder]
    return found


def _folders(top: Path) -> Iterator[Path]:
    """A directory and those below it that are not hidden, each once, links after all others."""
    seen: set[str] = set()
    waiting = [top]
    for start in waiting:  # which grows
        for root, names, _ in os.walk(start):
            names[:] = sorted(name for name in names if not name.startswith("."))
            real = os.path.realpath(root)
            if real in seen:
                names.clear()
                continue
            seen.add(real)
            waiting += [Path(root, name) for name in names if Path(root, name).is_symlink()]
            yield Path(root)


def _scans_of_matches(matches: list[Path], root: Path, series: str | None) -> list[ScanFile]:
    """A directory that matches is searched through, as if it had been named itself."""
    files: dict[Path, None] = {}
    for match in matches:
        below = match.is_dir() and not is_store(match)
        for path in visible_files(match) if below else [match]:
            if not path.is_fifo():
                files[path] = None
    return _scans_among(_by_one_way(files, root), root, series)


def _by_one_way(files: Iterable[Path], root: Path) -> list[Path]:
    """Each file once, by the way below ``root`` without a linked directory, else by the shortest.

    Patterns go into directories that are links, and round and round where one leads back. Two names
    in one directory are two files, though one be a link to the other: each gets a result.
    """
    found: dict[Path, tuple[bool, int, Path]] = {}
    real: dict[Path, Path] = {}
    base = root.resolve()
    for path in files:
        folder = path.parent
        if folder not in real:
            real[folder] = folder.resolve()
        straight = folder.is_relative_to(root) and real[folder] == base / folder.relative_to(root)
        way = (not straight, len(path.parts), path)
        place = real[folder] / path.name
        found[place] = min(found.get(place, way), way)
    return [path for _, _, path in found.values()]


def _scans_among(files: list[Path], root: Path, series: str | None = None) -> list[ScanFile]:
    scans: list[ScanFile] = []
    dicoms: list[Path] = []
    for path in files:
        kind = _kind_of(path)
        if kind == "dicom":
            dicoms.append(path)
        elif kind is not None and series is None:
            scans.append(ScanFile(path, kind, None, path.relative_to(root)))
    if dicoms:
        from meddenoise.io.dicom.listing import list_series

        scans.extend(
            ScanFile(one.place, "dicom", one.series, one.relative, one.patient, one.study)
            for one in list_series(dicoms, root, series)
        )
    return sorted(scans, key=lambda scan: (scan.relative, scan.path))


def _kind_of(path: Path) -> str | None:
    if path.is_dir():
        return "zarr"
    kind = _sniffed(path)
    named, _ = format_of_name(path)
    if kind == "analyze":
        return "nifti" if named == "nifti" else None
    return kind or named


def _sniffed(path: Path) -> str | None:
    """What a file is by its content; ``None`` as well where it cannot be read."""
    try:
        return sniff(path)
    except OSError:
        return None
