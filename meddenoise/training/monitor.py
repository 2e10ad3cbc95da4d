"""Shows and records how a run goes: progress bar, ``log.jsonl``, TensorBoard and the like."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import IO

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from meddenoise.config import TrainingConfig
from meddenoise.io.atomic import atomic_file
from meddenoise.training.listening import tell
from meddenoise.training.pictures import log_pictures
from meddenoise.training.trackers import start_trackers

__all__ = ["Monitor"]

_EVERY_SECONDS = 0.5


class Monitor:
    """A context that is told of every step and validation; only the first process speaks.

    Args:
        accelerator: for its rank and its trackers.
        directory: where ``log.jsonl`` (appended to) and trackers write, or ``None``.
        settings: names the trackers.
        step: where a resumed run goes on: later lines of an older log are dropped.
        progress: show a bar on the terminal.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        directory: Path | None,
        settings: TrainingConfig,
        step: int,
        progress: bool,
    ) -> None:
        self._accelerator = accelerator
        self._directory = directory
        self._settings = settings
        self._first = step
        self._main = accelerator.is_main_process
        self._bar = _Bar(settings) if progress and self._main else None
        self._log: IO[str] | None = None
        self._validation: dict[str, float] = {}
        self._next = 0.0

    def __enter__(self) -> Monitor:
        if self._directory is not None:
            if self._main:
                file = self._directory / "log.jsonl"
                kept = _lines_before(file, self._first) if self._first else []
                with atomic_file(file, overwrite=True) as fresh:
                    fresh.write_text("".join(kept), encoding="utf-8")
                self._log = file.open("a", encoding="utf-8", buffering=1)
            if self._settings.trackers:
                start_trackers(self._accelerator, self._directory, self._settings)
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()
        # Not end_training(): that ends the process group, which a second run needs.
        for tracker in self._accelerator.trackers:
            tracker.finish()
        if self._log:
            self._log.close()

    def step(
        self, step: int, progress: float, loss: Tensor, terms: dict[str, Tensor], rate: float
    ) -> None:
        """After each step; reads the loss off the device twice a second at most."""
        if not self._main:
            return
        now = time.monotonic()
        if now < self._next and progress < 1:
            return
        self._next = now + _EVERY_SECONDS
        values = {"loss": float(loss), **{name: float(term) for name, term in terms.items()}}
        self._record(step, "train", {**values, "voxels_per_second": rate})
        if self._bar:
            self._bar.show(step, progress, values["loss"], self._validation, rate)

    def validation(self, step: int, values: dict[str, float]) -> None:
        """After each validation."""
        self._validation = values
        if self._main:
            self._record(step, "val", values)
            if self._bar:
                self._bar.validation(step, values)
        tell(step, values)

    @property
    def takes_pictures(self) -> bool:
        """Whether a tracker is there to show them."""
        return self._main and bool(self._accelerator.trackers)

    def pictures(self, step: int, pictures: dict[str, NDArray[np.uint8]]) -> None:
        """After a validation: pictures for the trackers."""
        if self.takes_pictures:
            log_pictures(self._accelerator.trackers, pictures, step)

    def _record(self, step: int, kind: str, values: dict[str, float]) -> None:
        if self._log:
            self._log.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")
        if self._directory is not None:
            named = {f"{kind}/{name}": value for name, value in values.items()}
            self._accelerator.log(named, step=step)


def _lines_before(file: Path, step: int) -> list[str]:
    """The log up to the checkpoint that a run resumes from."""
    if not file.exists():
        return []
    kept = []
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            break  # the last line of a run that was killed
    return kept


class _Bar:
    """A progress bar on a terminal; a line per validation elsewhere."""

    def __init__(self, settings: TrainingConfig) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self._console = Console(stderr=True)
        self._live = self._console.is_terminal
        self._steps = settings.steps
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._task = self._progress.add_task("starting", total=1.0)

    def start(self) -> None:
        if self._live:
            self._progress.start()

    def stop(self) -> None:
        if self._live:  # else rich, before 14.3, ends a line that was never begun
            self._progress.stop()

    def show(
        self, step: int, progress: float, loss: float, validation: dict[str, float], rate: float
    ) -> None:
        told = f"step {step}  loss {loss:.4f}"
        if "psnr" in validation:
            told += f"  PSNR {validation['psnr']:.2f} dB"
        told += f"  {rate / 1e6:.2f} Mvoxel/s"
        self._progress.update(self._task, completed=progress, description=told)

    def validation(self, step: int, values: dict[str, float]) -> None:
        if self._live:
            return
        told = f"step {step}: validation loss {values['loss']:.4f}"
        if "psnr" in values and "psnr_noisy" in values:
            told += f", PSNR {values['psnr']:.2f} dB (noisy {values['psnr_noisy']:.2f} dB)"
        self._console.print(told, highlight=False)
