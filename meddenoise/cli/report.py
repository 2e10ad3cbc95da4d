"""``meddenoise report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meddenoise.cli.options import Overwrite, Units

__all__ = ["report"]


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN | NOISY DENOISED", help="A run directory, or two scans on one grid."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The page, an HTML file.")
    ] = Path("report.html"),
    reference: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For two scans: the truth.")
    ] = None,
    units: Units = None,
    scan: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="For a run: which test scan to show [default: the first]."
        ),
    ] = None,
    volume: Annotated[
        int | None,
        typer.Option(metavar="N", help="Which volume of 4-D scans, from 1 [default: the first]."),
    ] = None,
    extended: Annotated[
        bool,
        typer.Option(
            "--extended",
            help="Against a reference all metrics, as in evaluate; seconds to a minute a scan.",
        ),
    ] = False,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write each plot as PNG, SVG and PDF there."),
    ] = None,
    names: Annotated[
        bool,
        typer.Option(
            "--names", help="Show paths, names of scans and the command: they may tell of patients."
        ),
    ] = False,
    voxels: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="At most so many voxels of a scan go into the page; of larger ones whole slices "
            "are left out [default: 8000000].",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a page to look at a result: one HTML file, which needs no network.

    It holds the numbers with their conventions, training curves, plots of intensities, residual and
    noise power, and slices in three planes, noisy and denoised under a swipe, with window, zoom and
    the residual in colour. No header, name or path of a scan goes in unless you say --names; but
    the voxels do, and those of a head show a face.
    """
    from meddenoise.errors import ParameterError
    from meddenoise.report.embedded import MOST_VOXELS
    from meddenoise.workflows.report import report_run, report_scans

    most = MOST_VOXELS if voxels is None else voxels
    if len(paths) == 1:
        if reference is not None:
            raise ParameterError("--reference is for two scans: a run knows its own truth.")
        if units is not None:
            raise ParameterError("--units is for two scans: a run knows its own.")
        if paths[0].is_file():
            raise ParameterError(
                f"{paths[0]} is a file: give a run directory, or two scans, NOISY and DENOISED."
            )
        made = report_run(
            paths[0], output, scan=scan, volume=volume, extended=extended, figures=figures,
            names=names, most_voxels=most, overwrite=overwrite,
        )  # fmt: skip
    elif len(paths) == 2:
        if scan is not None:
            raise ParameterError("--scan is for a run: leave it out.")
        if extended and reference is None:
            raise ParameterError(
                "--extended is against a reference: say --reference FILE as well, or leave it out."
            )
        made = report_scans(
            paths[0], paths[1], output, reference=reference, units=units, volume=volume,
            extended=extended, figures=figures, names=names, most_voxels=most,
            overwrite=overwrite,
        )  # fmt: skip
    else:
        raise ParameterError(
            f"Give a run directory, or NOISY and DENOISED; not {len(paths)} paths."
        )
    print(f"{made.page}  {made.page.stat().st_size / 1e6:.1f} MB, opens in any browser")
    if made.figures:
        print(f"{len(made.figures)} figures in {made.figures[0].parent}")
