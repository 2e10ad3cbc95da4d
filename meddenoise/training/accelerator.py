"""Makes the Accelerator that carries a run over devices, processes and precisions."""

from __future__ import annotations

import atexit
import gc
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.tracking import TensorBoardTracker

from meddenoise.devices import choose_device, has_fast_bf16
from meddenoise.errors import ConfigError, MissingDependency

__all__ = ["make_accelerator"]

_NAMES = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


def make_accelerator(
    precision: str,
    device: str,
    *,
    trackers: Sequence[str] = (),
    directory: Path | None = None,
) -> Accelerator:
    """An Accelerator for this process (one of several, if ``torchrun`` started it).

    Args:
        precision: ``"auto"`` is bf16 where the device has it natively, CUDA cards and some CPUs,
            and fp32 elsewhere. Weights, their updates and the loss are float32 in either.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        trackers: ``"tensorboard"``, ``"mlflow"``, ``"wandb"``; unused without a directory.
        directory: where they write.

    Raises:
        ConfigError: a precision that the device does not have.
        MissingDependency: a tracker that is not installed.
    """
    chosen = choose_device(device)
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(chosen) else "fp32"
    if precision == "fp16" and chosen.type == "cpu":
        raise ConfigError("training.precision fp16 needs a GPU: take bf16 or fp32 on a CPU.")
    if (
        chosen.type == "cuda"
        and chosen.index is not None
        and int(os.getenv("WORLD_SIZE", "1")) == 1
    ):
        torch.cuda.set_device(chosen)  # Accelerate takes the current one
    # Accelerate keeps device and precision in a shared state for the life of the process, and
    # refuses another choice later; a script may well train twice. The process group stays for
    # the life of the process (it cannot be made twice), and is found again.
    AcceleratorState._reset_state(reset_partial_state=True)
    atexit.register(_leave_process_group)
    for name in trackers:
        if importlib.util.find_spec(name) is None:
            raise MissingDependency(
                f"training.trackers names {name}, which is not installed: pip install {name}, or "
                "take it off the list."
            )
    return Accelerator(
        mixed_precision=_NAMES[precision],
        cpu=chosen.type == "cpu",
        log_with=_trackers(trackers, directory),
        project_dir=directory,
    )


def _trackers(names: Sequence[str], directory: Path | None) -> list[Any] | None:
    """As Accelerate takes them; :func:`meddenoise.training.trackers.start_trackers` starts them."""
    if directory is None or not names:
        return None
    # TensorBoard's directory has its own name, and not that of the project.
    board = TensorBoardTracker("tensorboard", directory)
    return [board if name == "tensorboard" else name for name in names]


def _leave_process_group() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        # Networks of finished runs hold on to the group in cycles; one that outlives the
        # interpreter with its threads running aborts the process, after all work is done.
        gc.collect()
        torch.distributed.destroy_process_group()
