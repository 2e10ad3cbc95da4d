"""The SQLite file that a search is kept in, and its place whatever the directory is called."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

from meddenoise.errors import OutputError

__all__ = ["NAME", "STUDY", "open_study", "storage_of"]

STUDY = "study.sqlite3"
"""The file's name."""

NAME = "meddenoise"
"""The study's name in it."""

_SECONDS = 60


def open_study(optuna: Any, directory: Path, direction: str) -> Any:
    """The study in a directory, or a new one.

    Args:
        optuna: the package.
        directory: of the search; the caller holds its lock.
        direction: ``"maximize"`` or ``"minimize"``.

    Raises:
        OutputError: the file that is there is none of a study, or cannot be opened.
    """
    from sqlalchemy.exc import DatabaseError

    try:
        return optuna.create_study(
            study_name=NAME,
            storage=storage_of(optuna, directory),
            direction=direction,
            load_if_exists=True,
        )
    except DatabaseError as fault:
        raise OutputError(
            f"{directory / STUDY} cannot be used as a study ({fault.orig}): move it away, or "
            "choose another --output."
        ) from None


def storage_of(optuna: Any, directory: Path) -> Any:
    """Optuna's storage in a directory; several processes that write wait for each other."""
    # Not by an address: in one, a ?, a % or a brace of the directory's name says something else.
    # Which thread has a connection is SQLAlchemy's to see to.
    connect = partial(
        sqlite3.connect, directory.resolve() / STUDY, timeout=_SECONDS, check_same_thread=False
    )
    return optuna.storages.RDBStorage(f"sqlite:///{STUDY}", engine_kwargs={"creator": connect})
