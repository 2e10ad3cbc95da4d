"""Starts the trackers of a run: TensorBoard, MLflow, Weights & Biases."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from meddenoise.config import TrainingConfig
from meddenoise.errors import ConfigError

__all__ = ["start_trackers"]

_PROJECT = "meddenoise"
_HELP = {
    "wandb": "log in by 'wandb login', say WANDB_MODE=offline",
    "mlflow": "check MLFLOW_TRACKING_URI",
}


def start_trackers(accelerator: Accelerator, directory: Path, settings: TrainingConfig) -> None:
    """Start what ``settings.trackers`` names; the accelerator was made with the same.

    TensorBoard writes into the run directory, and so does Weights & Biases unless ``WANDB_DIR``
    says otherwise; MLflow into its own store. Runs are called after the directory. Weights & Biases
    is told not to send what names scans: no command line, console output, code or host.

    Args:
        accelerator: whose trackers are started.
        directory: of the run.
        settings: the training section, whose plain values are kept as hyper-parameters.

    Raises:
        ConfigError: a tracker that cannot be started (no account, no server).
    """
    name = directory.resolve().name
    given: dict[str, dict[str, Any]] = {"mlflow": {"run_name": name}}
    if "wandb" in settings.trackers:
        given["wandb"] = {"name": name, "settings": _discreet()}
        if "WANDB_DIR" not in os.environ:
            given["wandb"]["dir"] = str(directory)
    # A path may name a scan or a patient.
    said = settings.model_dump(mode="json", exclude={"trackers", "start_from"})
    plain = {f"training.{k}": v for k, v in said.items() if isinstance(v, (str, int, float))}
    try:
        accelerator.init_trackers(_PROJECT, init_kwargs=given)
        for tracker in accelerator.trackers:
            if tracker.name != "tensorboard":  # it would write another run for them
                tracker.store_init_configuration(plain)
    except Exception as fault:
        failed = [n for n in settings.trackers if n in _HELP]
        if not failed:
            raise
        ways = "; ".join(f"for {n} {_HELP[n]}" for n in failed)
        lines = str(fault).strip().splitlines() or [type(fault).__name__]
        raise ConfigError(
            f"training.trackers: {' or '.join(failed)} could not be started ({lines[0]}): {ways}; "
            "or take it off the list."
        ) from None


def _discreet() -> Any:
    import wandb

    return wandb.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
        silent=True,
    )
