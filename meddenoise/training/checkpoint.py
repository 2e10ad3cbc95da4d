"""Saves and restores a run, in one step: after a kill the file is whole or the older one."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from meddenoise.errors import FileError
from meddenoise.io.atomic import atomic_file

__all__ = ["Checkpoint"]

_NAME = "last.pt"


@dataclass
class Checkpoint:
    """Everything that a later step depends on; random numbers do not (they come from the step).

    Attributes:
        step: steps done.
        seconds: time spent training.
        network: ``state_dict`` of the weights being trained.
        average: ``state_dict`` of their moving average.
        optimizer: ``state_dict``.
        scaler: ``state_dict`` of the loss scaler, if there is one (fp16).
        validation: the last validation's values.
        settings: what a resumed run must have the same of, as JSON.
        trainer: ``state_dict`` of the trainer; empty for most.
        patience: how long validations have not become better.
        arithmetic: in which precision and memory layout the run is computed.
    """

    step: int
    seconds: float
    network: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    scaler: dict[str, Any] | None
    validation: dict[str, float]
    settings: str
    trainer: dict[str, Any] = field(default_factory=dict)
    patience: dict[str, Any] = field(default_factory=dict)
    arithmetic: dict[str, str] = field(default_factory=dict)

    def save(self, directory: Path) -> None:
        """Write ``last.pt`` into the directory.

        Raises:
            OutputError: it cannot be written; an older one is kept.
        """
        # Through memory: torch reports a full disk as a fault of its own, with no reason.
        packed = io.BytesIO()
        torch.save(vars(self), packed)
        with atomic_file(directory / _NAME, overwrite=True) as temporary:
            temporary.write_bytes(packed.getbuffer())

    @staticmethod
    def kept_in(run: Path | None) -> str:
        """A sentence on where the last one of a run is, after a blank; nothing if there is none."""
        if run is None or not (run / "checkpoint" / _NAME).exists():
            return ""
        return f" The last checkpoint is kept in {run}."

    @classmethod
    def load(cls, directory: Path, device: torch.device) -> Checkpoint | None:
        """The checkpoint in the directory, or ``None`` if there is none.

        Raises:
            FileError: it is damaged.
        """
        file = directory / _NAME
        if not file.exists():
            return None
        try:
            # weights_only refuses everything but tensors and plain containers.
            # Processes that share a CPU call it cpu:0, which torch does not load to.
            place = torch.device("cpu") if device.type == "cpu" else device
            return cls(**torch.load(file, map_location=place, weights_only=True))
        except Exception as fault:  # torch raises half a dozen kinds for a damaged file
            raise FileError(
                f"The checkpoint {file} is damaged ({type(fault).__name__}): remove its directory "
                "to start afresh."
            ) from None
