"""``meddenoise denoise``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from meddenoise.cli.options import Device, Json, Overwrite, Series

__all__ = ["denoise"]


def denoise(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="A scan, a DICOM directory, a directory of scans, or a glob."
        ),
    ],
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT",
            help="A file; for a DICOM series or for several scans, a directory. It is made.",
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The model.safetensors that 'meddenoise train' wrote."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A method without training: identity, gaussian or median."
        ),
    ] = None,
    series: Series = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    dtype: Annotated[
        str,
        typer.Option(
            metavar="same|float32",
            help="same: the input's stored type, rounded and clipped; float32: where the format "
            "has floats.",
        ),
    ] = "same",
    compress: Annotated[
        str | None,
        typer.Option(metavar="rle|jpegls|jpeg2000", help="DICOM: compress without loss."),
    ] = None,
    deterministic_uids: Annotated[
        bool,
        typer.Option("--deterministic-uids", help="DICOM: the same result gets the same UIDs."),
    ] = False,
    keep_private: Annotated[
        bool,
        typer.Option(
            "--keep-private", help="DICOM: keep private elements; they may identify the patient."
        ),
    ] = False,
    allow_irregular: Annotated[
        bool,
        typer.Option(
            "--allow-irregular",
            help="Write tilted or unevenly spaced DICOM slices to another format, and say what "
            "was assumed.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Denoise a scan, or every scan in a directory; the result has the input's format.

    Say how by --model or by --method. DICOM comes out as a new, derived series (new UIDs, same
    study, grid, rescale and bit depth); NIfTI, NRRD and MetaImage keep their header. OUTPUT's
    extension may ask for another format. Voxels that are not finite, or padding, are kept as
    they were. Of several scans, one that fails does not stop the others.
    """
    from meddenoise.cli.progress import progress_bar
    from meddenoise.workflows.denoise import denoise_files

    with progress_bar("denoising") as progress:
        outcomes = denoise_files(
            source,
            output,
            model=model,
            method=method,
            series=series,
            device=device,
            overwrite=overwrite,
            progress=progress,
            dtype=dtype,
            compress=compress,
            deterministic_uids=deterministic_uids,
            keep_private=keep_private,
            allow_irregular=allow_irregular,
        )
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if as_json:
        print(json.dumps([outcome.as_dict() for outcome in outcomes], indent=2))
    else:
        for outcome in outcomes:
            if outcome.output is not None:
                print(f"{outcome.input} -> {outcome.output}  ({outcome.seconds:.1f} s)")
            if outcome.untouched:
                print(
                    f"  {outcome.untouched:,} voxels are not finite or padding: kept as they were"
                )
            for note in outcome.notes:
                print(f"  {note}")
    for outcome in failed:
        error = str(outcome.error)
        where = "" if outcome.input in error else f"{outcome.input}: "
        print(f"meddenoise: {where}{error}", file=sys.stderr)
    if failed:
        print(f"meddenoise: {len(failed)} of {len(outcomes)} scans failed.", file=sys.stderr)
        raise typer.Exit(2)
