"""``meddenoise benchmark``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from meddenoise.cli.options import Device

__all__ = ["benchmark"]


def benchmark(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="A YAML file, such as configs/benchmark/mri.yaml."),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override a key: --set data.images=clean_scans/."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="For the results [default: the configuration's output, or runs/benchmark].",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier comparison there.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Compare methods on volumes with noise: filters, model files, and trainings.

    The same noise is added once to every clean volume (or measured pairs are taken), every method
    denoises all of them, and the directory then holds `benchmark.md` (PSNR and SSIM with 95 %
    intervals over volumes, differences to the first method with a paired test, training
    minutes, model size, speed), `benchmark.csv`, `benchmark.json` and `comparison.png` (zoomed
    cuts and residuals).
    """
    from meddenoise.workflows.benchmark import benchmark as run

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    done = run(
        config, overrides=set_ or [], output=output, overwrite=overwrite, device=device,
        progress=tell,
    )  # fmt: skip
    print(done.table)
    print(f"\n{done.directory}: benchmark.md, benchmark.csv, benchmark.json, comparison.png")
    if done.failed:
        first = done.failed[0]
        print(
            f"meddenoise: {len(done.failed)} of {len(done.cells)} results are missing; the first "
            f"is {first.method} on {first.volume}: {first.error}",
            file=sys.stderr,
        )
        raise typer.Exit(2)
