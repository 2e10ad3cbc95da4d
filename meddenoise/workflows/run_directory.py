"""The directory of a training run: what may be put there, and when it is made."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from meddenoise.config import Config
from meddenoise.data import Case
from meddenoise.errors import InputError, OutputError
from meddenoise.io import ScanFile
from meddenoise.training.lock import run_lock

__all__ = ["check_directory", "claimed", "directory_of"]


def directory_of(config: Config, output: str | Path | None) -> Path:
    """``output``; else that of the configuration; else ``runs/NAME``."""
    named = output or config.output
    if named is None:
        named = Path("runs") / (config.name or config.trainer.name)
    return Path(named).expanduser()


def check_directory(
    directory: Path, cases: Sequence[Case], *, resume: bool, overwrite: bool
) -> None:
    """Refuse to touch what is there, before any scan is read.

    Raises:
        OutputError: it is a file, holds an input, holds something else than a run, or a run
            that is to be neither resumed nor replaced.
    """
    if directory.is_file():
        raise OutputError(f"{directory} is a file: choose another --output.")
    for case in cases:
        for scan in (case.image, case.target):
            place = scan.path.resolve() if isinstance(scan, ScanFile) else None
            if place is not None and directory.resolve() in (place, *place.parents):
                raise OutputError(
                    f"{directory} holds the input {place.name}: choose another --output."
                )
    if not directory.exists() or not any(directory.iterdir()):
        return
    if not (directory / "config.yaml").is_file():
        raise OutputError(f"{directory} holds other things than a run: choose another --output.")
    if not resume and not overwrite:
        raise OutputError(
            f"{directory} holds a run already: choose another --output, go on with it by "
            "--resume, or replace it by --overwrite."
        )


@contextmanager
def claimed(directory: Path, *, resume: bool) -> Iterator[None]:
    """The directory, made for a run; while training is inside the block.

    If the block finds that the run is impossible, or is interrupted, before the first
    checkpoint, all is as it was before: nothing new, and a run that was to be replaced is back.

    Raises:
        OutputError: it cannot be made, or another process is writing to it.
    """
    old = None
    try:
        if directory.exists() and not resume:
            old = directory.with_name(f".{secrets.token_hex(4)}.old-{directory.name}")
            with run_lock(directory):  # nobody is writing to it
                directory.rename(old)
        made = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OutputError(f"{directory} cannot be made: {fault.strerror}.") from None
    try:
        yield
    except (InputError, KeyboardInterrupt):
        if made and not (directory / "checkpoint").exists():
            shutil.rmtree(directory)
            if old is not None:
                old.rename(directory)
        raise
    finally:
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
