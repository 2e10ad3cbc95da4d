"""``meddenoise tune``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from meddenoise.cli.options import Device

__all__ = ["tune"]


def tune(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="A YAML file, such as configs/mri_n2v.yaml.")
    ],
    space: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="A YAML file of keys: 'training.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: "
            "true}', 'network.channels: [[16, 32], [32, 64]]'.",
        ),
    ],
    trials: Annotated[int, typer.Option(metavar="N", help="How many trainings.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key for all trials."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="For the study [default: runs/tune]."),
    ] = None,
    sampler: Annotated[str, typer.Option(help="tpe, random or grid.")] = "tpe",
    prune: Annotated[
        bool, typer.Option(help="Stop trials that validate worse than the median.")
    ] = True,
    workers: Annotated[int, typer.Option(metavar="N", help="Processes that share the trials.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    device: Device = "auto",
) -> None:
    """Search keys of a configuration for the best validation.

    By PSNR where the truth is known (noise section, targets), else by Stein's estimate of the
    error, which needs no truth but white noise. Called again with the same directory it goes on,
    also beside another that is running. The directory then holds `best.yaml`, `trials.csv`,
    `importance.png` (from four finished trials on) and every trial's run.
    """
    from meddenoise.errors import ConfigError
    from meddenoise.workflows.tune import tune as search

    if sampler not in ("tpe", "random", "grid"):
        raise ConfigError(f"There is no sampler {sampler!r}: give tpe, random or grid.")

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    found = search(
        config, space, trials=trials, overrides=set_ or [], output=output,
        sampler=sampler,  # type: ignore[arg-type]
        prune=prune, workers=workers, seed=seed, device=device, progress=tell,
    )  # fmt: skip
    counts = f"{found.finished} trials finished, {found.pruned} were stopped early"
    print(f"{counts}, {found.failed} failed.")
    print(f"Best {found.objective} {found.value:.4g}:")
    for key, value in found.best.items():
        share = found.importance.get(key)
        said = "" if share is None else f"  ({100 * share:.0f} % of the variance)"
        print(f"  {key}: {value}{said}")
    if found.no_importance:
        print(found.no_importance)
    print(f"{found.directory / 'best.yaml'}  for 'meddenoise train'")
