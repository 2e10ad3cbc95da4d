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
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="The clean scan.")],
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", help="What to score, one or more, on the same grid."),
    ],
    mask: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Score only where this image is not 0."),
    ] = None,
    data_range: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Peak of PSNR and SSIM [default: 99.9th minus 0.1th percentile of the reference].",
        ),
    ] = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="CENTER WIDTH",
            help="Clip both to a display window first; its width is then the data range.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write all numbers there.")
    ] = None,
) -> None:
    """Score images against a clean reference: PSNR, SSIM, RMSE and MAE.

    The conventions (data range, window, mask, dimensionality) are printed with the numbers:
    a PSNR without them means little.
    """
    from meddenoise.io import atomic_file, read
    from meddenoise.workflows.evaluate import evaluate as score

    clean = read(reference)
    inside = None if mask is None else read(mask)
    results = {
        str(image): score(clean, image, mask=inside, data_range=data_range, window=window)
        for image in images
    }
    _print(results)
    if file is not None:
        values = {name: metrics.as_dict() for name, metrics in results.items()}
        with atomic_file(file.expanduser(), overwrite=True) as temporary:
            temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _print(results: dict[str, Metrics]) -> None:
    """A row an image, and the conventions: once if they are the same for all."""
    some = next(iter(results.values()))
    unit = f" [{some.units}]" if some.units else ""
    rows = [("image", "PSNR [dB]", "SSIM", f"RMSE{unit}", f"MAE{unit}")]
    for name, m in results.items():
        rows.append((name, f"{m.psnr:.2f}", f"{m.ssim:.4f}", f"{m.rmse:.4g}", f"{m.mae:.4g}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers in rows:
        cells = [name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])]
        print("  ".join(cells))
    if all(m.conventions() == some.conventions() for m in results.values()):
        print("\n".join(some.conventions()))
        return
    for name, m in results.items():
        print(f"{name}: {' '.join(m.conventions())}")
