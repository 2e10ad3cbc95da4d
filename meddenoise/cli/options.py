"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Device",
    "Json",
    "Overwrite",
    "ReplaceRun",
    "Resume",
    "RunDirectory",
    "Series",
    "Units",
]

Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda, cuda:1, mps; auto takes a GPU where there is one.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an existing output; inputs never are.")
]
Series = Annotated[
    str | None,
    typer.Option(
        metavar="UID|NUMBER|TEXT",
        help="Which DICOM series, where a directory holds several: UID, number or description.",
    ),
]
Units = Annotated[
    str | None,
    typer.Option(metavar="HU", help="The units of all scans, where their headers are silent."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for other programs to read.")]
RunDirectory = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Run directory [default: the configuration's output, or runs/ and its name].",
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on from the checkpoint in the run directory, if any."),
]
ReplaceRun = Annotated[
    bool, typer.Option("--overwrite", help="Replace the run directory, if it is a run.")
]
