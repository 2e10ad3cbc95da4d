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
    "check_output",
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


def check_output(file: Path | None) -> None:
    """Whether a file of numbers can be written, before minutes are spent on them.

    Raises:
        OutputError: it is a directory, or its own cannot be written to.
    """
    import os

    from meddenoise.errors import OutputError

    if file is None:
        return
    path = file.expanduser()
    if path.is_dir():
        raise OutputError(f"{path} is a directory; name a file to write to.")
    parent = next((p for p in path.resolve().parents if p.exists()), None)
    if parent is not None and not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise OutputError(f"{path} cannot be written: {parent} is not a directory to write to.")
