"""Which format a file is in, by its content, and which one a name asks for."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from meddenoise.errors import DamagedScan, FileError

__all__ = [
    "EXTENSIONS",
    "RASTER_FORMATS",
    "dicom_among",
    "format_of_name",
    "is_store",
    "not_a_scan",
    "sniff",
]

#: The extensions that can be written, and by which format.
EXTENSIONS: dict[str, str] = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".nrrd": "nrrd",
    ".nhdr": "nrrd",
    ".mha": "metaimage",
    ".mhd": "metaimage",
    ".zarr": "zarr",
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".dcm": "dicom",
    ".ima": "dicom",
}
RASTER_FORMATS = ("png", "tiff", "jpeg")

_META = re.compile(rb"^\s*(ObjectType|ObjectSubType|NDims|Comment|TransformType|BinaryData)\s*=")
_HEAD = 1024
_PACKED_HEAD = 544  # NIfTI-2, and four bytes more
_STORE_MARKS = ("zarr.json", ".zgroup", ".zarray")


def format_of_name(path: Path) -> tuple[str | None, str]:
    """The format and the extension that a name asks for; ``(None, suffix)`` if none of ours."""
    name = path.name.lower()
    for extension in sorted(EXTENSIONS, key=len, reverse=True):
        if name.endswith(extension) and name != extension:
            return EXTENSIONS[extension], extension
    return None, path.suffix.lower()


def sniff(path: Path) -> str | None:
    """The format of a file by its first bytes, or ``None`` if it is none that we know.

    Returns ``"dicom"``, ``"nifti"``, ``"analyze"`` (known, not read), ``"nrrd"``,
    ``"metaimage"``, ``"png"``, ``"tiff"`` or ``"jpeg"``.
    """
    with open(path, "rb") as stream:
        head = stream.read(_HEAD)
    if head[:2] == b"\x1f\x8b":
        return _nifti_kind(_gunzip_head(head))
    if head[128:132] == b"DICM":
        return "dicom"
    if head[:7] == b"NRRD000":
        return "nrrd"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if _META.match(head):
        return "metaimage"
    return _nifti_kind(head) or ("dicom" if _looks_like_bare_dicom(head) else None)


def is_store(path: Path) -> bool:
    """Whether a directory is a zarr store, and so one scan."""
    return any((path / mark).is_file() for mark in _STORE_MARKS)


def dicom_among(kinds: Mapping[Path, str | None]) -> list[Path]:
    """The files that are DICOM, or were: called so, but emptied or overwritten.

    Most exports have no extension, so a file of nothing but zeros counts as well where it is called
    as a DICOM file beside it, but for the numbers: ``IM0009`` beside ``IM0001``, or a UID.

    Args:
        kinds: what :func:`sniff` says of each.

    Raises:
        OSError: one cannot be read.
    """
    called = {_unnumbered(path) for path, kind in kinds.items() if kind == "dicom"}

    def was(path: Path) -> bool:
        if format_of_name(path)[0] == "dicom":
            return True
        numbered = any(letter.isdigit() for letter in path.name)
        return numbered and _unnumbered(path) in called and _is_blank(path)

    return [path for path, kind in kinds.items() if kind == "dicom" or (kind is None and was(path))]


def _unnumbered(path: Path) -> Path:
    return path.with_name(re.sub(r"[0-9]+", "0", path.name))


def _is_blank(path: Path) -> bool:
    """Empty, or zeros only, as a copy leaves it that was cut off."""
    with open(path, "rb") as stream:
        return not any(stream.read(_HEAD))


def not_a_scan(path: Path, kind: str | None) -> FileError:
    """The error that says what a file is instead of a scan.

    Args:
        path: the file.
        kind: what :func:`sniff` says of it.
    """
    if kind == "analyze":
        return FileError(
            f"{path} is Analyze 7.5, which does not say left from right: convert it to NIfTI "
            "with the orientation that you know."
        )
    if path.stat().st_size == 0:
        return DamagedScan(f"{path} is empty.")
    header = _header_beside(path)
    if header is not None:
        return FileError(f"{path} holds the voxels of a pair: name its header, {header}.")
    named, extension = format_of_name(path)
    if named is not None:
        return FileError(
            f"{path} is no scan although it is called {extension}: its first bytes are not those "
            "of this or any other format read here. It may be damaged, or have been renamed."
        )
    known = ", ".join(EXTENSIONS)
    return FileError(f"{path} is no scan in a format read here (DICOM, {known}).")


def _header_beside(path: Path) -> Path | None:
    """The ``.hdr`` of an ``.img``, which is a name for a pair of Analyze 7.5 or NIfTI."""
    stem, dot, _ = path.name.lower().partition(".img")
    if not dot:
        return None
    found = (path.with_name(path.name[: len(stem)] + end) for end in (".hdr", ".hdr.gz", ".HDR"))
    return next((header for header in found if header.is_file()), None)


def _gunzip_head(head: bytes) -> bytes:
    """The first bytes of what is packed, from as many members as that takes."""
    found = b""
    # Some pack the header by itself. Zeros may fill up what is between members, and after them.
    while head and len(found) < _PACKED_HEAD:
        member = zlib.decompressobj(wbits=31)
        try:
            found += member.decompress(head, _PACKED_HEAD - len(found))
        except zlib.error:
            break
        head = member.unused_data.lstrip(b"\0")
    return found


def _nifti_kind(head: bytes) -> str | None:
    if len(head) < 348:
        return None
    sizes = {struct.unpack(order + "i", head[:4])[0] for order in "<>"}
    if 540 in sizes and head[4:7] in (b"n+2", b"ni2"):
        return "nifti"
    if 348 in sizes:
        return "nifti" if head[344:347] in (b"n+1", b"ni1") else "analyze"
    return None


def _looks_like_bare_dicom(head: bytes) -> bool:
    """A data set without the 128-byte preamble: it begins with group 0002 or 0008."""
    if len(head) < 64 or head[0] not in (2, 8) or head[1] != 0:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    implicit_length = struct.unpack("<I", head[4:8])[0]
    return explicit or (head[2:4] in (b"\0\0", b"\x05\0", b"\x08\0") and implicit_length < 128)
