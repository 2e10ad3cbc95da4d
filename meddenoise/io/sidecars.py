"""What lies beside a NIfTI under its own name: ``.json``, ``.bval`` and ``.bvec``.

NIfTI has no place for b-values, gradient directions and most of what the scanner knew, so
other programs look for them in files of the scan's name. A result without them is not a
replacement for its input.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from meddenoise.errors import FileError
from meddenoise.io.formats import format_of_name
from meddenoise.io.source import HeaderSource
from meddenoise.volume import Volume

__all__ = ["Sidecars", "carry_sidecars", "read_sidecar", "sidecars_beside", "sidecars_for"]

_KINDS = (".json", ".bval", ".bvec")
_SCAN_NAMES = (".nii.gz", ".nii", ".hdr.gz", ".hdr", ".img.gz", ".img")


@dataclass(frozen=True)
class Sidecars:
    """What is to be written beside a result.

    Attributes:
        files: contents by path; without those that are there already with the same bytes.
        notes: sentences about it for the user.
    """

    files: dict[Path, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def carry_sidecars(volume: Volume, target: Path) -> Sidecars:
    """The source's sidecars, byte by byte, under the target's name, if both are NIfTI.

    Args:
        volume: a scan that was read from a file.
        target: where it is going to be written.

    Raises:
        FileError: a sidecar that cannot be read.
    """
    source = volume.source
    if not isinstance(source, HeaderSource) or source.format != "nifti":
        return Sidecars()
    found = sidecars_beside(source.path)
    if not found:
        return Sidecars()
    if format_of_name(target)[0] != "nifti":
        names = ", ".join(path.name for path in found)
        return Sidecars(notes=(f"Not carried along, the result being no NIfTI: {names}.",))
    contents = {path.suffix: read_sidecar(path) for path in found}
    return sidecars_for(target, contents, besides=found)


def sidecars_beside(scan: Path) -> list[Path]:
    """Those that there are."""
    places = [scan.with_name(_stem(scan) + kind) for kind in _KINDS]
    # Not by Path.is_file, which fails for a name too long to be there.
    return [place for place in places if os.path.isfile(place)]


def sidecars_for(
    target: Path, contents: dict[str, bytes], *, besides: Iterable[Path] = ()
) -> Sidecars:
    """Sidecars with these contents, by extension, beside a target.

    Args:
        target: a NIfTI that is going to be written.
        contents: what is in each, by ``".json"``, ``".bval"`` or ``".bvec"``.
        besides: files that serve as they are: a scan and its result of the same name in the
            same directory, ``.nii`` and ``.nii.gz``, share them.
    """
    stem = _stem(target)
    places = {target.with_name(stem + kind): content for kind, content in contents.items()}
    shared = {os.path.realpath(path) for path in besides}
    files = {p: content for p, content in places.items() if os.path.realpath(p) not in shared}
    if not files:
        return Sidecars()
    names = ", ".join(path.name for path in files)
    missing = {path: content for path, content in files.items() if not _holds(path, content)}
    return Sidecars(missing, (f"Beside it: {names}.",))


def read_sidecar(path: Path) -> bytes:
    """All of it.

    Raises:
        FileError: the system refuses.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error


def _stem(scan: Path) -> str:
    """The name without the scan's extension; a name without one is its own stem."""
    for extension in _SCAN_NAMES:
        if scan.name.lower().endswith(extension):
            return scan.name[: -len(extension)]
    return scan.name


def _holds(path: Path, content: bytes) -> bool:
    """Whether exactly this is there already, so that nothing has to be replaced."""
    try:
        return path.is_file() and path.read_bytes() == content
    except OSError:
        return False
