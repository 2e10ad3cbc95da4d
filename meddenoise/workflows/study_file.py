"""The SQLite file that a search is kept in, and its place whatever the directory is called."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from meddenoise.errors import ConfigError, OutputError
from meddenoise.workflows.study_process import is_gone

__all__ = [
    "CALL",
    "NAME",
    "PROCESS",
    "STUDY",
    "end_killed",
    "end_lost",
    "give_back",
    "open_study",
    "same_study",
    "storage_of",
]

STUDY = "study.sqlite3"
"""The file's name."""

NAME = "meddenoise"
"""The study's name in it."""

CALL = "call"
"""What a trial says which call it is of, by the call's number."""

PROCESS = "process"
"""What a trial says which process does it; see :mod:`meddenoise.workflows.study_process`."""

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


def end_lost(optuna: Any, directory: Path, call: int) -> None:
    """Count trials of a call that is over as failed whose process is gone.

    Args:
        optuna: the package.
        directory: of the search.
        call: the trials' own; those of others may be at work.
    """
    _end(
        optuna,
        directory,
        lambda told: told.get(CALL) == call,
        "its process was ended",
    )


def end_killed(optuna: Any, directory: Path) -> None:
    """Count trials of any call as failed whose process, on this machine, is no more.

    Args:
        optuna: the package.
        directory: of the search.
    """
    _end(optuna, directory, lambda told: is_gone(told.get(PROCESS)), "its process was killed")


def _end(
    optuna: Any, directory: Path, lost: Callable[[Mapping[str, Any]], bool], fault: str
) -> None:
    storage = storage_of(optuna, directory)
    study = storage.get_study_id_from_name(NAME)
    running = (optuna.trial.TrialState.RUNNING,)
    for trial in storage.get_all_trials(study, deepcopy=False, states=running):
        if lost(trial.user_attrs):
            # One that ended between the two looks needs nothing.
            with suppress(optuna.exceptions.UpdateFinishedTrialError):
                place = give_back(storage, trial.number, fault)
                storage.set_trial_state_values(place, optuna.trial.TrialState.FAIL)


def give_back(storage: Any, number: int, fault: str) -> int:
    """Say why a trial was stopped; its place in a grid is to be tried again.

    Args:
        storage: of Optuna.
        number: the trial's in the study; it is running.
        fault: why.

    Returns:
        The trial's number in the storage.
    """
    study = storage.get_study_id_from_name(NAME)
    place: int = storage.get_trial_id_from_study_id_trial_number(study, number)
    storage.set_trial_user_attr(place, "fault", fault)
    if "grid_id" in storage.get_trial_system_attrs(place):
        # Optuna counts what has failed as tried.
        storage.set_trial_system_attr(place, "grid_id", -1)
    return place


def same_study(study: Any, told: Mapping[str, Any], objective: str) -> None:
    """Note what is searched; a search that goes on must be the same one.

    Args:
        study: of Optuna.
        told: the configuration and the space.
        objective: its name.

    Raises:
        ConfigError: the study is of another configuration or space.
    """
    before = study.user_attrs.get("told")
    if before is None:
        study.set_user_attr("told", dict(told))
        study.set_user_attr("objective", objective)
    elif _searched(before) != _searched(told):
        alike = _searched(before)["config"] == _searched(told)["config"]
        what = "space" if alike else "configuration"
        raise ConfigError(
            f"The study that is there is of another {what}: choose another --output, or give the "
            "same."
        )


def _searched(told: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a search another one; what it is called does not."""
    return {**told, "config": {k: v for k, v in told["config"].items() if k != "name"}}
