"""``meddenoise compare``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from meddenoise.cli.options import Overwrite
from meddenoise.errors import OutputError
from meddenoise.io.named import path_of

__all__ = ["compare"]


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run directories; the first is the baseline."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Also write an HTML page.")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write the curves as PNG, SVG and PDF there."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write all numbers there.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare finished runs: which keys differ, and what came of it.

    PSNR, SSIM and RMSE of the test scans with 95 % intervals, and differences to the first run on
    the same scans with Wilcoxon's signed-rank test; training time and weights beside them.
    """
    import json

    from rich.console import Console
    from rich.table import Table as Shown

    from meddenoise.io import atomic_file
    from meddenoise.workflows.compare_runs import compare_runs

    if file is not None:
        _check_numbers(file, runs, output)
    told = compare_runs(runs, output=output, figures=figures, overwrite=overwrite)
    # Names and values as they are: to rich ":x:" is a picture.
    console = Console(emoji=False)
    for title, table in told.tables().items():
        if not table.rows:
            console.print(f"{title}: nothing")
            continue
        shown = Shown(title=title, title_justify="left", box=None, pad_edge=False)
        for cell in table.head:
            shown.add_column(cell, overflow="fold")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown, markup=False)
    for sentence in told.notes:
        print(sentence)
    if file is not None:
        with atomic_file(path_of(file), overwrite=True) as temporary:
            text = json.dumps(told.as_dict(), indent=2, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")
    if told.page is not None:
        print(f"{told.page}  opens in any browser")


def _check_numbers(file: Path, runs: Sequence[Path], page: Path | None) -> None:
    """Raise for numbers that would be written over the page, or over what a run consists of."""
    from meddenoise.io.atomic import check_output
    from meddenoise.workflows.run_directory import RUN_FILES

    place = path_of(file).resolve()
    if page is not None and place == path_of(page).resolve():
        raise OutputError(f"--json {file} is that of --output as well: choose another file.")
    for run in runs:
        directory = path_of(run).resolve()
        deeper = directory in place.parents and place.parent != directory
        if place.exists() and (deeper or place in {directory / name for name in RUN_FILES}):
            raise OutputError(f"--json {file} is part of the run {run}: choose another file.")
    check_output(file)
