"""A hash of all that a scan is read from, to know it again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from meddenoise.hashing import file_hash
from meddenoise.io.scans import ScanFile, visible_files

__all__ = ["scan_hash"]

# Formats whose voxels may lie in files of other names, always beside the header.
_DETACHED = ("nrrd", "metaimage")
_PAIRED = (".hdr", ".img", ".hdr.gz", ".img.gz")


def scan_hash(scan: ScanFile, known: dict[Path, str] | None = None) -> str:
    """``"sha256:..."`` of the content of every file that reading the scan may open.

    Of a zarr store and a DICOM series that is the directory with all below it, for other series
    decide what belongs to this one; of formats whose header may name other files, all that lie
    beside it. A change to any of them changes the hash.

    Args:
        scan: as :func:`meddenoise.io.list_scans` found it.
        known: hashes of directories by their path; those found are added, so that the scans of one
            directory cost its files once.

    Raises:
        OSError: a file cannot be read.
    """
    path = scan.path
    if scan.format == "dicom":
        place = path if path.is_dir() else path.parent
        content = _once(place, (f for f in visible_files(place) if f.is_file()), known)
        return _digest([content, str(path.relative_to(place)), scan.series or ""])
    if scan.format == "zarr":
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return _digest([_once(path, files, known)])
    if path.is_file() and not _may_be_detached(scan):
        return _digest([file_hash(path)])
    place = path.parent
    beside = (file for file in sorted(place.iterdir()) if file.is_file())
    return _digest([_once(place, beside, known), path.name])


def _may_be_detached(scan: ScanFile) -> bool:
    return scan.format in _DETACHED or scan.path.name.lower().endswith(_PAIRED)


def _once(place: Path, files: Iterable[Path], known: dict[Path, str] | None) -> str:
    known = {} if known is None else known
    if place not in known:
        known[place] = _digest(
            part for file in files for part in (str(file.relative_to(place)), file_hash(file))
        )
    return known[place]


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        # With its length: no two lists of parts are one text.
        digest.update(f"{len(part)}:{part}".encode("utf-8", "surrogateescape"))
    return f"sha256:{digest.hexdigest()}"
