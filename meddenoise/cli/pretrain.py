"""``meddenoise pretrain``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from meddenoise.cli.options import Device, ReplaceRun, Resume, RunDirectory

__all__ = ["pretrain"]


def pretrain(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="A YAML file, such as configs/pretrain_3d.yaml."),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key: --set training.steps=9."),
    ] = None,
    output: RunDirectory = None,
    resume: Resume = False,
    overwrite: ReplaceRun = False,
    device: Device = "auto",
) -> None:
    """Train a network for any scan on procedural anatomy; no scan is read.

    The weights that ship with meddenoise were made so. Ctrl-C stops and saves; `--resume` goes on.
    """
    from meddenoise.workflows.pretrain import pretrain as run

    finished = run(
        config,
        overrides=set_ or [],
        output=output,
        resume=resume,
        overwrite=overwrite,
        device=device,
        progress=int(os.environ.get("RANK", "0")) == 0,
    )
    if finished is None:
        return
    result = finished.result
    print(f"Trained {result.steps} steps in {result.seconds:.0f} s.")
    print(f"  {finished.model}  the model, for meddenoise denoise --model")
