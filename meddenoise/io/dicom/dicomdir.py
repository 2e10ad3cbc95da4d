"""A DICOMDIR: the index of a medium, and the image files below its directory that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from meddenoise.errors import FileError
from meddenoise.io.dicom.files import DicomFile, open_header
from meddenoise.io.dicom.values import items, texts

__all__ = ["expanded", "indexed_files", "is_index"]

_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"


def is_index(file: DicomFile) -> bool:
    """Whether a file is a DICOMDIR, whatever its name."""
    return file.meta_class == _MEDIA_STORAGE_DIRECTORY


def expanded(path: Path) -> list[Path]:
    """The files that a DICOMDIR names, or the path itself if it is none.

    Raises:
        FileError: a DICOMDIR that names files elsewhere or files that are not there.
    """
    try:
        file = open_header(path)
    except FileError:
        return [path]
    return indexed_files(file) if is_index(file) else [path]


def indexed_files(file: DicomFile) -> list[Path]:
    """The images that a DICOMDIR names, in its order.

    Raises:
        FileError: it names a file that is not below its directory (``..``, a link that leads
            out), one that is not there, or none.
    """
    found: dict[Path, None] = {}
    missing: list[str] = []
    for record in items(file.header, "DirectoryRecordSequence"):
        parts = texts(record, "ReferencedFileID")
        if not parts:
            continue
        place = _place(file.path, parts)
        if place is None:
            missing.append("/".join(parts))
        elif _is_image(record):
            found[place] = None
    if missing:
        raise FileError(
            f"{file.path} names {len(missing)} files that are not there, such as {missing[0]!r}: "
            "copy the whole medium, or name the directory of the images instead."
        )
    if not found:
        raise FileError(f"{file.path} is a DICOMDIR that names no images.")
    return list(found)


def _is_image(record: Any) -> bool:
    return texts(record, "DirectoryRecordType")[:1] in ((), ("IMAGE",))


def _place(index: Path, parts: tuple[str, ...]) -> Path | None:
    """The file that a record names; ``None`` if there is none."""
    root = index.parent
    place: Path | None = root
    for part in parts:
        if part in ("", ".", "..") or any(sign in part for sign in "/\\:\0"):
            raise FileError(
                f"{index} names the file {'/'.join(parts)!r}, which is not below its directory."
            )
        place = None if place is None else _entry(place, part)
    if place is None or not place.is_file():
        return None
    if root.resolve() not in place.resolve().parents:
        raise FileError(f"{index} names {'/'.join(parts)!r}, a link that leads out of its place.")
    return place


def _entry(directory: Path, name: str) -> Path | None:
    """An entry by its name, which a copy of the medium may have in small letters."""
    exact = directory / name
    if exact.exists():
        return exact
    if not directory.is_dir():
        return None
    alike = [entry for entry in directory.iterdir() if entry.name.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None
