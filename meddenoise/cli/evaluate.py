"""``meddenoise evaluate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from meddenoise.cli.options import Device, Units
from meddenoise.cli.scoring import (
    draw_curves,
    opened_as_said,
    score_lesions,
    score_with_reference,
    score_without_reference,
    write_numbers,
)
from meddenoise.errors import OutputError, ParameterError

__all__ = ["evaluate"]


def evaluate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="REFERENCE IMAGE...",
            help="The clean scan, then what to score, one or more, on the same grid. With --noisy "
            "or --reference, images only.",
        ),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The clean scan, named by an option.")
    ] = None,
    noisy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The scan that the images were made of: judges them by what was taken away, "
            "without a reference.",
        ),
    ] = None,
    repeat: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --noisy: a second acquisition of the same thing, which gives a PSNR.",
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Score only where this image is not 0."),
    ] = None,
    roi: Annotated[
        Path | None,
        typer.Option(
            metavar="LABELS",
            help="A label map: bias, CNR and contrast of each region against the largest.",
        ),
    ] = None,
    data_range: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Peak of PSNR and SSIM [default: 99.9th minus 0.1th percentile of the reference, "
            "or of the noisy scan].",
        ),
    ] = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="CENTER WIDTH",
            help="Clip all to a display window first, for scores against a reference and for "
            "--curves; its width is then the data range.",
        ),
    ] = None,
    extended: Annotated[
        bool,
        typer.Option(
            "--extended",
            help="MS-SSIM, HFEN, GMSD, VIF, LPIPS, noise power, structure and edges as well; "
            "seconds to a minute a volume.",
        ),
    ] = False,
    curves: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write curves over spatial frequency (1/mm) there, .json or .csv: noise power, "
            "transfer of edges, and with --roi both of each region (a disc's or ball's rim, or a "
            "straight edge in a box).",
        ),
    ] = None,
    lesions: Annotated[
        Path | None,
        typer.Option(
            metavar="SCAN",
            help="Instead of images: put low-contrast lesions into this scan, denoise it by "
            "--method or --model, and say what is left of them.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A method of 'meddenoise denoise': with --lesions the one to check (several "
            "times for several), with --noisy the one that made the image, for a PSNR by Stein's "
            "estimate.",
        ),
    ] = None,
    model: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A model file, as --method.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the one method."),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="For --lesions: the noise to add after them ('meddenoise simulate --list'); "
            "without it the scan's own noise stays.",
        ),
    ] = None,
    sigma: Annotated[
        str | None, typer.Option(metavar="S", help="For --noise: its level, as in simulate.")
    ] = None,
    dose: Annotated[
        str | None, typer.Option(metavar="D", help="For --noise: the dose, as in simulate.")
    ] = None,
    size: Annotated[
        list[float] | None,
        typer.Option(metavar="MM", help="Diameter of lesions; several times [default: 4 and 8]."),
    ] = None,
    contrast: Annotated[
        list[str] | None,
        typer.Option(
            metavar="C",
            help="Contrast of lesions in the image's units, or with %: of its 99.9th percentile; "
            "negative for dark; several times [default: 5%, or 20 HU].",
        ),
    ] = None,
    number: Annotated[
        int | None, typer.Option(help="Lesions of each size and contrast [default: 24].")
    ] = None,
    units: Units = None,
    volume: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Of 4-D scans this volume alone, from 1 [default: each, and their mean; for "
            "--lesions one must be chosen].",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of lesions, their noise and intervals [default: 0].")
    ] = None,
    device: Device = "auto",
    file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write all numbers there.")
    ] = None,
) -> None:
    """Score images: against a clean reference, by what was taken away, or by lesions put in.

    `evaluate REFERENCE IMAGE...` gives PSNR, SSIM, RMSE, MAE and bias, --extended all metrics,
    --roi those of regions. `evaluate IMAGE... --noisy NOISY` needs no truth: is what was taken away
    as strong and as correlated as noise, does it hold anatomy, are edges wider?
    `evaluate --lesions SCAN --method NAME` says whether faint lesions survive.

    The conventions (data range, window, mask, dimensionality) are printed with the numbers: a PSNR
    without them means little. What is undefined is `none`, with the reason, in JSON `null`. Of 4-D
    scans each volume gets its scores, and the mean is given.
    """
    from meddenoise.config import parse_settings
    from meddenoise.io.atomic import check_output
    from meddenoise.workflows.curves import check_curves_file
    from meddenoise.workflows.units import checked_units

    images = list(paths or [])
    said = checked_units(units)
    methods, models = list(method or []), list(model or [])
    options = parse_settings(set_ or [])
    inputs = [*images, *models, reference, noisy, repeat, mask, roi, lesions]
    _check_outputs({"--json": file, "--curves": curves}, inputs)
    if lesions is not None:
        _refuse(
            {
                "an image": images,
                "--reference": reference,
                "--noisy": noisy,
                "--repeat": repeat,
                "--roi": roi,
                "--data-range": data_range,
                "--window": window,
                "--extended": extended or None,
                "--curves": curves,
            },
            "is not for --lesions, which makes its own images: leave it out.",
        )
        if file is not None:
            check_output(file)
        levels = {"sigma": sigma, "dose": dose}
        score_lesions(
            lesions,
            methods=methods,
            models=models,
            options=options,
            noise=noise,
            noise_options=_noise_options(noise, levels),
            sizes=size or (4.0, 8.0),
            contrasts=contrast or (),
            number=24 if number is None else number,
            mask=mask,
            units=units,
            volume=volume,
            seed=seed or 0,
            device=device,
            file=file,
        )
        return
    _refuse(
        {
            "--noise": noise,
            "--sigma": sigma,
            "--dose": dose,
            "--size": size,
            "--contrast": contrast,
            "--number": number,
            "--seed": seed,
        },
        "is for --lesions SCAN: say it as well, or leave this out.",
    )
    if noisy is None:
        _refuse(
            {
                "--repeat": repeat,
                "--method": methods or None,
                "--model": models or None,
                "--set": set_,
            },
            "is for --noisy NOISY (or --lesions SCAN): say it as well, or leave this out.",
        )
        if reference is None and len(images) > 1:
            reference, *images = images
    if not images:
        raise ParameterError(
            "There is nothing to score: give REFERENCE IMAGE..., IMAGE --noisy NOISY, or "
            "--lesions SCAN."
        )
    if noisy is None and reference is None:
        raise ParameterError(
            f"{images[0]} stands alone: give the clean scan before it, or the noisy one that it "
            "was made of by --noisy."
        )
    if noisy is not None and len(methods) + len(models) > 1:
        raise ParameterError("--noisy takes one --method or --model: the one that made the image.")
    if not methods and not models:
        _refuse(
            {"--set": set_, "--device": None if device == "auto" else device},
            "is for --method or --model: say one as well, or leave this out.",
        )
    if reference is None:
        if curves is None:
            _refuse(
                {"--roi": roi, "--window": window},
                "is for a reference or --curves: say one as well.",
            )
        _refuse(
            {"--extended": extended or None},
            "is for a reference: say --reference FILE as well, or leave it out.",
        )
    check_curves_file(curves)
    for output in (file, curves):
        if output is not None:
            check_output(output)
    told: dict[str, dict[str, Any]] = {str(image): {} for image in images}
    opened = partial(opened_as_said, units=said, volume=volume)
    if reference is not None:
        score_with_reference(
            opened, reference, images, mask, roi, data_range, window, extended, told
        )
    if noisy is not None:
        run = {
            "method": methods[0] if methods else None,
            "model": models[0] if models else None,
            "options": options,
            "device": device,
        }
        score_without_reference(opened, noisy, images, repeat, mask, data_range, run, told)
    if curves is not None:
        draw_curves(opened, curves, images, reference, noisy, mask, roi, data_range, window, volume)
    write_numbers(file, told)


def _check_outputs(outputs: Mapping[str, Path | None], inputs: Sequence[Path | None]) -> None:
    """Raise for numbers that would be written over a scan, or over each other."""
    from meddenoise.io.named import path_of

    taken = {path_of(path).resolve(): "an input" for path in inputs if path is not None}
    for option, path in outputs.items():
        if path is None:
            continue
        place = path_of(path).resolve()
        if place in taken:
            raise OutputError(f"{option} {path} is {taken[place]} as well: choose another file.")
        taken[place] = f"that of {option}"


def _noise_options(noise: str | None, levels: Mapping[str, str | None]) -> dict[str, Any]:
    from meddenoise.config import parse_settings

    given = [f"{name}={value}" for name, value in levels.items() if value is not None]
    if given and noise is None:
        raise ParameterError(
            f"--{given[0].split('=')[0]} is the level of --noise NAME: say which noise is added "
            "after the lesions."
        )
    return parse_settings(given)


def _refuse(given: Mapping[str, Any], why: str) -> None:
    """One sentence for an option that does not go with the others."""
    for name, value in given.items():
        if value is not None and value != []:
            raise ParameterError(f"{name} {why}")
