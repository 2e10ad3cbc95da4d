"""``meddenoise evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from meddenoise.evaluation import Metrics

__all__ = ["evaluate"]


def evaluate(
    reference: Annotated[Path, typer.Argument(help="The clean scan.")],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="What to score, on the same grid.")
    ],
    mask: Annotated[
        Path | None, typer.Option(help="Score only where this image is above 0.")
    ] = None,
    data_range: Annotated[
        float | None, typer.Option(help="Peak of PSNR and SSIM [default: from the reference].")
    ] = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="CENTER WIDTH", help="Clip both to a display window first."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers there.")
    ] = None,
) -> None:
    """Score images against a clean reference: PSNR, SSIM, RMSE and MAE.

    The conventions (data range, window, mask, dimensionality) are printed with the numbers:
    a PSNR without them means little.
    """
    from meddenoise.io import atomic_file
    from meddenoise.workflows.evaluate import evaluate as score

    results = {
        str(image): score(reference, image, mask=mask, data_range=data_range, window=window)
        for image in images
    }
    _print(results)
    if file is not None:
        values = {name: metrics.as_dict() for name, metrics in results.items()}
        with atomic_file(file, overwrite=True) as temporary:
            temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _print(results: dict[str, Metrics]) -> None:
    from rich.console import Console
    from rich.table import Table

    some = next(iter(results.values()))
    unit = f" [{some.units}]" if some.units else ""
    table = Table("image", box=None, header_style="bold", pad_edge=False)
    for column in ("PSNR [dB]", "SSIM", f"RMSE{unit}", f"MAE{unit}"):
        table.add_column(column.replace("[", r"\["), justify="right")
    for name, m in results.items():
        table.add_row(name, f"{m.psnr:.2f}", f"{m.ssim:.4f}", f"{m.rmse:.4g}", f"{m.mae:.4g}")
    console = Console(soft_wrap=True)
    console.print(table)
    for line in some.conventions():
        console.print(line, markup=False, highlight=False)
