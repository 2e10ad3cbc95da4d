"""Outputs appear whole or not at all.

A result is made beside its place under a hidden name and moved there in one step, so that
a crash, a kill or a full disk never leaves something half-written under the name that the
user asked for.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from meddenoise.errors import OutputError
from meddenoise.io.named import path_of

__all__ = ["AlreadyThere", "atomic_directory", "atomic_file", "atomic_files", "check_output"]

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than this system allows",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOTDIR: "a part of the path is a file, not a directory",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "the disk reports an error",
    errno.EBUSY: "a file system is mounted there, so it cannot be replaced; name a place in it",
}
_KEPT = 60  # letters, of up to four bytes
_ALWAYS_OURS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


class AlreadyThere(OutputError):
    """What is in the way is a result, which may be another process's of just now."""


def _beside(path: Path) -> Path:
    """A fresh hidden name in the same directory; it keeps the extension, writers look at it.

    Of the name it has the end only, as there is no room for more where that is the longest allowed.
    """
    return path.with_name(f".{secrets.token_hex(4)}.part-{path.name[-_KEPT:]}")


def _refused(path: Path, error: OSError) -> OutputError:
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"{path} cannot be written: {reason}. Nothing was left behind.")


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if isinstance(error, FileExistsError):
            error = NotADirectoryError(errno.ENOTDIR, "", str(path.parent))
        raise _refused(path, error) from error


def _is_about_output(error: OSError, *places: Path) -> bool:
    """Whether an error inside the block came from writing, not from reading something else."""
    return error.errno in _ALWAYS_OURS or _names(error, *places)


def _names(error: OSError, *places: Path) -> bool:
    """Whether an error says that it is about one of these places, or what is in it."""
    name = str(error.filename or "")
    return any(name.startswith(str(place)) for place in places)


@contextmanager
def atomic_file(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """A path to write to; when the block ends well, the file is moved to ``path``.

    Parent directories are made. If the block raises, nothing is left behind.

    Raises:
        OutputError: ``path`` exists and ``overwrite`` is false, is a directory, a device or a
            pipe, or cannot be written (permission, full disk, ...).
    """
    with atomic_files([path], overwrite=overwrite) as (part,):
        yield part


@contextmanager
def atomic_files(
    paths: Sequence[str | os.PathLike[str]], *, overwrite: bool = False
) -> Iterator[list[Path]]:
    """:func:`atomic_file` for files that belong together: all are moved to their places, or none.

    They are moved in the order given, and what has been moved is taken back if a later one
    cannot be. A kill in between leaves the first ones only, so put the one that the others
    serve last: where it is, all are.

    Raises:
        OutputError: as for :func:`atomic_file`, naming the path that is at fault.
    """
    targets = [Path(path) for path in paths]
    for target in targets:
        _check_free(target, overwrite=overwrite)
    for target in targets:
        _make_parent(target)
    parts = [_beside(target) for target in targets]
    try:
        for part in parts:
            # Made here rather than by tempfile so that the user's umask decides who may read it.
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield parts
        for part in parts:
            with open(part, "rb+") as written:
                os.fsync(written.fileno())
        for target in targets:
            _check_free(target, overwrite=overwrite)
        _move_all(parts, targets)
    except OSError as error:
        for part, target in zip(parts, targets, strict=True):
            if _names(error, part, target):
                raise _refused(target, error) from error
        if error.errno in _ALWAYS_OURS:
            raise _refused(targets[-1], error) from error
        raise
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _move_all(parts: Sequence[Path], targets: Sequence[Path]) -> None:
    """Move every part to its target; if one cannot be moved, all is as it was before."""
    moved: list[Path] = []
    olds: dict[Path, Path] = {}
    try:
        for part, target in zip(parts, targets, strict=True):
            # Of the last one nothing need be kept: after it, there is nothing left to fail.
            if os.path.lexists(target) and target is not targets[-1]:
                olds[target] = _beside(target)
                shutil.copy2(target, olds[target], follow_symlinks=False)
            os.replace(part, target)
            moved.append(target)
    except BaseException:
        for target in reversed(moved):
            if target in olds:
                os.replace(olds[target], target)
            else:
                target.unlink()
        raise
    finally:
        for old in olds.values():
            with suppress(OSError):
                old.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """An empty directory to fill; when the block ends well, it is moved to ``path``.

    An empty directory at ``path`` is taken; one with something in it is replaced as a whole
    only with ``overwrite``. Of a link, that is the directory where it leads, and the link stays.

    Raises:
        OutputError: ``path`` is a file, or is not empty and ``overwrite`` is false, or
            cannot be written.
    """
    target = Path(path)
    _check_room(target, overwrite=overwrite)
    if target.is_symlink():
        target = target.resolve()
    _make_parent(target)
    part = _beside(target)
    old = _beside(target)
    try:
        part.mkdir()
        yield part
        _check_room(target, overwrite=overwrite)
        _replace(part, target, old)
    except OSError as error:
        if _is_about_output(error, part, target, old):
            raise _refused(target, error) from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _replace(part: Path, target: Path, old: Path) -> None:
    """Move a directory to its place; what was there waits as ``old`` until that is done."""
    if target.exists():
        os.rename(target, old)
    try:
        os.rename(part, target)
    except OSError:
        if old.exists():
            _put_back(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _put_back(old: Path, target: Path) -> None:
    """Move a directory back to its place, unless another process has put one there since."""
    try:
        os.rename(old, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        shutil.rmtree(old, ignore_errors=True)


def check_output(path: str | os.PathLike[str]) -> None:
    """Whether a file can be written, before minutes are spent on what it is to hold.

    Raises:
        OutputError: it is a directory, a device or a pipe, or its directory cannot be written to.
    """
    target = path_of(path)
    _check_file(target)
    parent = next((p for p in target.resolve().parents if p.exists()), None)
    if parent is not None and not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise OutputError(f"{target} cannot be written: {parent} is not a directory to write to.")


def _check_file(target: Path) -> None:
    if target.is_dir():
        raise OutputError(f"{target} is a directory; name a file to write to.")
    # A file put in its place would take it from every program, as /dev/null from the whole system.
    stream = target.is_symlink() and os.readlink(target).startswith("/proc/")  # as /dev/stdout
    if stream or (target.exists() and not target.is_file()):
        raise OutputError(f"{target} is a device or a pipe; name a file to write to.")


def _check_free(target: Path, *, overwrite: bool) -> None:
    _check_file(target)
    if not overwrite and os.path.lexists(target):
        raise AlreadyThere(f"{target} exists already; choose another name or ask to overwrite.")


def _check_room(target: Path, *, overwrite: bool) -> None:
    if os.path.lexists(target) and not target.is_dir():
        raise OutputError(f"{target} exists and is not a directory; choose another name.")
    if not overwrite and target.is_dir() and any(target.iterdir()):
        raise AlreadyThere(
            f"{target} exists and is not empty; choose another name or ask to overwrite."
        )
