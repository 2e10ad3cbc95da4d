"""What a finished run's directory says of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meddenoise.config import Config, load
from meddenoise.errors import FileError
from meddenoise.io.named import path_of

__all__ = ["FinishedRun", "finished_run"]


@dataclass(frozen=True)
class FinishedRun:
    """A run that went to its end.

    Attributes:
        directory: where it is.
        config: as it was resolved.
        metrics: what ``metrics.json`` holds.
    """

    directory: Path
    config: Config
    metrics: dict[str, Any]

    @property
    def made_with(self) -> dict[str, Any]:
        """Versions, machine, command, seed and hashes; see :func:`provenance`."""
        return dict(self.metrics["run"])

    def scores(self) -> Iterator[tuple[str, str, str, float]]:
        """Each test scan's name, ``"noisy"`` or ``"denoised"``, metric, and number."""
        for row in self.metrics["test"]["volumes"]:
            for side in ("noisy", "denoised"):
                for metric in ("psnr", "ssim", "rmse", "mae", "bias"):
                    value = row.get(side, {}).get(metric)
                    if value is not None:
                        yield row["name"], side, metric, float(value)


def finished_run(run: str | os.PathLike[str]) -> FinishedRun:
    """Read a run directory.

    Raises:
        FileError: there is no finished run, or its files are damaged.
        ConfigError: its configuration is of another version.
    """
    directory = path_of(run)
    file = directory / "metrics.json"
    if not directory.is_dir():
        raise FileError(f"There is no run directory {directory}.")
    if not file.is_file() or not (directory / "config.yaml").is_file():
        raise FileError(
            f"{directory} holds no finished run (config.yaml and metrics.json): finish it by "
            "'meddenoise train ... --resume', or give another."
        )
    try:
        metrics = json.loads(file.read_text(encoding="utf-8"))
        whole = (
            isinstance(metrics["test"]["volumes"], list)
            and all(isinstance(row["name"], str) for row in metrics["test"]["volumes"])
            and isinstance(metrics["run"], dict)
            and isinstance(metrics["train"], dict)
            and isinstance(metrics["validation"], dict)
        )
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise FileError(f"{file} is damaged: run the training again.")
    return FinishedRun(directory, load(directory / "config.yaml"), metrics)
