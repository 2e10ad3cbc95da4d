"""The directory of a training run: what may be put there, and when it is made."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from meddenoise.config import Config
from meddenoise.data import Case, Split
from meddenoise.errors import ConfigError, InputError, OutputError
from meddenoise.io import ScanFile
from meddenoise.io.named import path_of
from meddenoise.training.lock import LOCK, run_lock

__all__ = ["RUN_FILES", "check_directory", "check_same_scans", "claimed", "directory_of"]

RUN_FILES = (
    *("config.yaml", "log.jsonl", "metrics.json", "model.safetensors", "preview.png"),
    *("provenance.json", "splits.json"),
)
"""What a run writes into its directory, besides directories."""


def directory_of(config: Config, output: str | Path | None) -> Path:
    """``output``; else that of the configuration; else ``runs/NAME``."""
    named = output or config.output
    if named is None:
        named = Path("runs") / (config.name or config.trainer.name)
    return path_of(named)


def check_directory(
    directory: Path,
    cases: Sequence[Case],
    *,
    resume: bool,
    overwrite: bool,
    models: Mapping[str, str | None] | None = None,
) -> None:
    """Refuse to touch what is there, before any scan is read.

    Args:
        directory: of the run.
        cases: its scans.
        resume: what is in it stays.
        overwrite: a run in it is replaced.
        models: the model files that the run learns from, by key; they may lie in it if it stays.

    Raises:
        OutputError: it is a file, its name is no text in UTF-8, it holds an input or one of the
            models, holds something else than a run, or a run that is to be neither resumed nor
            replaced.
    """
    try:
        str(directory).encode()
    except UnicodeEncodeError:  # TensorBoard's library takes no other
        raise OutputError(
            f"{directory} is no name in UTF-8, as a run's must be: choose another --output."
        ) from None
    if directory.is_file():
        raise OutputError(f"{directory} is a file: choose another --output.")
    for case in cases:
        for scan in (case.image, case.target):
            place = scan.path.resolve() if isinstance(scan, ScanFile) else None
            if place is not None and directory.resolve() in (place, *place.parents):
                raise OutputError(
                    f"{directory} holds the input {place.name}: choose another --output."
                )
    for key, model in ({} if resume else models or {}).items():
        if model and _holds(directory, path_of(model)):
            raise OutputError(
                f"{directory} holds the model of {key}, {path_of(model).name}: choose another "
                "--output."
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


def _holds(directory: Path, file: Path) -> bool:
    """Whether a file, or a link to it that is named, lies in a directory."""
    places = {directory.resolve(), directory.absolute()}
    return any(places.intersection(way.parents) for way in (file.resolve(), file.absolute()))


@contextmanager
def claimed(directory: Path, *, resume: bool, overwrite: bool = True) -> Iterator[None]:
    """The directory, made for a run; while training is inside the block.

    If the block finds that the run is impossible, or is interrupted, before the first
    checkpoint, all is as it was before: nothing new, and a run that was to be replaced is back.
    That run is back whatever ended the block so early.

    Args:
        directory: of the run.
        resume: what is in it stays.
        overwrite: a run in it may be replaced; else it has come since :func:`check_directory`
            looked, and is another process's.

    Raises:
        OutputError: it cannot be made, or another process is or was writing to it.
    """
    old = None
    # Of a link its directory is replaced, where it lies: the link leads to the new run.
    directory = Path(os.path.realpath(directory))
    try:
        if directory.exists() and not resume:
            if not overwrite and any(file.name != LOCK for file in directory.iterdir()):
                raise OutputError(
                    f"{directory} was free when this run began, and now holds another: choose "
                    "another --output."
                )
            old = directory.with_name(f".{secrets.token_hex(4)}.old-{directory.name}")
            with run_lock(directory):  # nobody is writing to it
                directory.rename(old)
        made = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OutputError(f"{directory} cannot be made: {fault.strerror}.") from None
    try:
        yield
    except BaseException as fault:
        # Of a run that failed in itself the log is kept, unless a finished one had its place.
        # SIGTERM comes as a SystemExit: see meddenoise.signals.
        stopped = isinstance(fault, (InputError, KeyboardInterrupt, SystemExit))
        back = old is not None or stopped
        if made and back and not (directory / "checkpoint").exists():
            shutil.rmtree(directory)
            if old is not None:
                old.rename(directory)
        raise
    finally:
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)


def check_same_scans(directory: Path, split: Split, hashes: Mapping[str, str]) -> None:
    """Raise for a run that would go on with other scans than it began with.

    A scan more or less deals out all subjects anew: some that were learned from would be tested.

    Args:
        directory: of the run that is resumed; one without a checkpoint begins anew.
        split: of the scans that are there now.
        hashes: of those that train and validate, by name.

    Raises:
        ConfigError: scans were added, removed or changed.
    """
    if not (directory / "checkpoint").exists():
        return
    try:
        before = json.loads((directory / "splits.json").read_text(encoding="utf-8"))
        data = json.loads((directory / "provenance.json").read_text(encoding="utf-8"))["data"]
        dealt = {side: [row["name"] for row in before[side]] for side in ("train", "val", "test")}
        changed = [name for name, one in hashes.items() if data.get(name, one) != one]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # written by hand, or by an older version: nothing to compare with
    now = {side: [case.name for case in getattr(split, side)] for side in dealt}
    if dealt != now:
        raise ConfigError(
            f"The run in {directory} began with other scans than data.images names now, or with "
            "another split of them: give it those of its splits.json, or choose another --output."
        )
    if changed:
        raise ConfigError(
            f"Scans of the run in {directory} have changed since it began: {', '.join(changed)}. "
            "Give it what they were, or choose another --output."
        )
