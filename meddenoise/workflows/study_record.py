"""What a search was made with: ``provenance.json`` in its directory, an entry a call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from meddenoise.errors import OutputError
from meddenoise.io import atomic_file
from meddenoise.workflows.provenance import provenance

__all__ = ["begin_call", "end_call"]

_FILE = "provenance.json"


def begin_call(
    directory: Path, *, device: str, seed: int, optuna: str, settings: Mapping[str, Any]
) -> int:
    """Add an entry before the first trial starts: it tells of a killed call too.

    Args:
        directory: of the study; the caller holds its lock.
        device: as given.
        seed: of the search.
        optuna: its version.
        settings: how this call searches.

    Returns:
        The entry's place, for :func:`end_call`.

    Raises:
        OutputError: what is recorded of former calls is damaged.
    """
    told = _read(directory)
    made = provenance(device, seed=seed)
    made["versions"]["optuna"] = optuna
    began = {"began": _now(), "ended": None, **settings}
    told["calls"].append(began | made)
    _write(directory, told)
    return len(told["calls"]) - 1


def end_call(directory: Path, place: int) -> None:
    """Say that the call has ended, and the hashes of the scans that trials have read so far.

    A scan that changed between trials has several: they were not judged on the same data.

    Args:
        directory: of the study; the caller holds its lock.
        place: from :func:`begin_call`.
    """
    told = _read(directory)
    told["calls"][place]["ended"] = _now()
    hashes: dict[str, list[str]] = {}
    for file in sorted(directory.glob(f"trials/*/{_FILE}")):
        try:
            data = json.loads(file.read_text(encoding="utf-8")).get("data", {})
        except (OSError, ValueError):
            continue  # of a trial that another call is at, or that was killed
        for name, one in data.items():
            if one not in hashes.setdefault(name, []):
                hashes[name].append(one)
    told["data"] = {name: ones[0] if len(ones) == 1 else ones for name, ones in hashes.items()}
    _write(directory, told)


def _read(directory: Path) -> dict[str, Any]:
    file = directory / _FILE
    if not file.exists():
        return {"calls": [], "data": {}}
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        told = fault
    if not (isinstance(told, dict) and isinstance(told.get("calls"), list)):
        raise OutputError(
            f"{file}, which says how the study was made, is damaged: move it away, and what "
            "follows is recorded anew."
        )
    return told


def _write(directory: Path, told: Mapping[str, Any]) -> None:
    with atomic_file(directory / _FILE, overwrite=True) as temporary:
        temporary.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
