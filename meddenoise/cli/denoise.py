"""``meddenoise denoise``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meddenoise.cli.options import Json, Overwrite, Series, Units
from meddenoise.errors import ParameterError

if TYPE_CHECKING:
    from meddenoise.workflows.batch import Outcome

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
            metavar="NAME",
            help="auto, which looks at the scan and chooses, or a method by name, such as bm4d; "
            "'meddenoise methods' lists them.",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="For --method auto: take that long, and learn from the scan itself.",
        ),
    ] = None,
    adapt: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Without --method and --model: take that long to do better on this very scan, by "
            "BM4D's help and by what is learnt from it.",
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(metavar="0..1", help="How much of what is found to be noise is taken away."),
    ] = 1.0,
    units: Units = None,
    keep_noise: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Write input minus result there: a file; for several scans or DICOM, a directory. "
            "Of pictures as .tif, as PNG holds nothing negative.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of the method, or of how a model is run (precision=bf16, memory=4, "
            "flips=true); can be given several times.",
        ),
    ] = None,
    sigma: Annotated[
        str | None,
        typer.Option(
            metavar="S",
            help="Standard deviation of the noise, for a method, a model with a noise map, "
            "--stabilise or --debias: in the image's units, or with %: of its 99.9th percentile; "
            "estimated if not given.",
        ),
    ] = None,
    stabilise: Annotated[
        str | None,
        typer.Option(
            metavar="auto|none|rician|anscombe",
            help="Make the noise Gaussian, denoise, and bring the result back without bias: "
            "rician for magnitude MRI, anscombe for counted photons, auto by the scan's noise.",
        ),
    ] = None,
    debias: Annotated[
        bool,
        typer.Option(
            "--debias",
            help="Take the bias of Rician noise off the result; instead of --stabilise.",
        ),
    ] = False,
    coils: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="For --stabilise and --debias: a magnitude image is the sum of squares of N "
            "coils (default 1).",
        ),
    ] = None,
    series: Series = None,
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda, cuda:1, mps; auto takes a GPU where there is one. Methods "
            "without a network compute on the processor."
        ),
    ] = "auto",
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
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N|slurm",
            help="Only the I-th of N shares of the scans; slurm: the share of this task of a job "
            "array.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="local:N|tcp://HOST:PORT|slurm",
            help="Denoise on a Dask cluster: N processes here, a scheduler, or jobs of Slurm "
            "(slurm:N). Workers read and write the files themselves.",
        ),
    ] = None,
    bids: Annotated[
        bool,
        typer.Option(
            "--bids",
            help="INPUT is a raw BIDS dataset; OUTPUT becomes a BIDS derivative dataset.",
        ),
    ] = False,
    participant: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="BIDS: 01 or sub-01; can be given several times."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Denoise a scan, or every scan in a directory; the result has the input's format.

    Without --model and --method, a network does it that ships with meddenoise and was trained on
    procedural anatomy alone; it says what it assumes of the noise. DICOM comes out as a new,
    derived series (new UIDs, same study, grid, rescale and bit depth); NIfTI, NRRD and MetaImage
    keep their header, and the `.json`, `.bval` and `.bvec` beside a NIfTI go along under the
    result's name. OUTPUT's extension may ask for another format. Voxels that are not finite, or
    padding, are kept as they were; and so are, by a network and by auto, large areas of one value,
    such as a masked background. Of several scans, one that fails does not stop the others, and
    one whose result is there already is passed over.

    With --bids, every raw image of intensities in the dataset becomes one with `desc-denoised`
    in a derivative dataset; masks, phases, maps and field maps are passed over.
    """
    from meddenoise.cli.progress import progress_bar
    from meddenoise.config import parse_settings
    from meddenoise.workflows.bids import denoise_bids
    from meddenoise.workflows.denoise import denoise_files

    _check_together(bids, participant, series, keep_noise, spread=bool(shard or cluster))
    options: dict[str, Any] = {
        "model": model,
        "method": method,
        "options": parse_settings(set_ or []),
        "sigma": sigma,
        "stabilise": stabilise,
        "debias": debias,
        "coils": coils,
        "budget": budget,
        "adapt": adapt,
        "strength": strength,
        "units": units,
        "device": device,
        "overwrite": overwrite,
        "dtype": dtype,
        "compress": compress,
        "deterministic_uids": deterministic_uids,
        "keep_private": keep_private,
        "allow_irregular": allow_irregular,
    }
    with progress_bar("denoising") as progress:
        options["progress"] = progress
        if bids:
            outcomes = denoise_bids(source, output, participants=participant or (), **options)
        else:
            outcomes = denoise_files(
                source,
                output,
                series=series,
                shard=shard,
                cluster=cluster,
                keep_noise=keep_noise,
                **options,
            )
    _tell(outcomes, as_json)


def _check_together(
    bids: bool,
    participant: list[str] | None,
    series: str | None,
    keep_noise: Path | None,
    *,
    spread: bool,
) -> None:
    if participant and not bids:
        raise ParameterError("--participant chooses in a BIDS dataset: say --bids as well.")
    if series is not None and bids:
        raise ParameterError("--series chooses in DICOM, and a BIDS dataset holds none.")
    if spread and bids:
        raise ParameterError(
            "--shard and --cluster are for a directory of scans: of a BIDS dataset, choose by "
            "--participant."
        )
    if keep_noise is not None and bids:
        raise ParameterError(
            "--keep-noise writes beside scans, and a derivative dataset holds results only: leave "
            "one of the two out."
        )


def _tell(outcomes: list[Outcome], as_json: bool) -> None:
    """Print what became of every scan; exit status 2 if one failed."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if as_json:
        print(json.dumps([outcome.as_dict() for outcome in outcomes], indent=2))
    else:
        for outcome in outcomes:
            _tell_one(outcome)
    for outcome in failed:
        error = str(outcome.error)
        where = "" if outcome.input in error else f"{outcome.input}: "
        print(f"meddenoise: {where}{error}", file=sys.stderr)
    if failed:
        # A scan may have both: its result is there, and its noise is not.
        tried = sum(bool(outcome.output or outcome.error) for outcome in outcomes)
        print(f"meddenoise: {len(failed)} of {tried} scans failed.", file=sys.stderr)
        raise typer.Exit(2)


def _tell_one(outcome: Outcome) -> None:
    if outcome.output is not None:
        print(f"{outcome.input} -> {outcome.output}  ({outcome.seconds:.1f} s)")
    elif outcome.error is None:
        print(outcome.input)
    if outcome.untouched:
        print(f"  {outcome.untouched:,} voxels are not finite or padding: kept as they were")
    for note in outcome.notes:
        print(f"  {note}")
