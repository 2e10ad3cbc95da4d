"""``meddenoise simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meddenoise.cli.options import Overwrite, Series, Units
from meddenoise.errors import ParameterError

if TYPE_CHECKING:
    from meddenoise.noise.listing import NoiseParameter

__all__ = ["simulate"]


def _list(wanted: bool) -> None:
    """Print every noise model with its parameters, told from the models themselves."""
    if not wanted:
        return
    from meddenoise.noise.listing import list_noises

    for noise in list_noises():
        print(f"{noise.name}: {noise.about}{f' (needs {noise.units})' if noise.units else ''}")
        for parameter in noise.parameters:
            print(f"  {parameter.name}{_setting(parameter)}: {parameter.about}")
    print(
        "\nA level is a number in image units, a percentage of the image's 99.9th percentile (5%), "
        "or an SNR\n(that percentile divided by the level: 'SNR 20'); a fraction is 0.25 or 25%; a "
        "map is a file on the\nscan's grid. Levels, fractions and numbers may be ranges to draw "
        "from, [low, high]."
    )
    raise typer.Exit


def _setting(parameter: NoiseParameter) -> str:
    """How a parameter is read, and what it is if not given."""
    default = "needed" if parameter.required else parameter.default
    told = [str(part) for part in (parameter.kind, default) if part not in ("", None)]
    return f" ({', '.join(told)})" if told else ""


def simulate(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A scan, or a DICOM directory.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Where the noisy copy goes.")],
    noise: Annotated[str, typer.Option(metavar="NAME", help="A noise model; --list shows them.")],
    sigma: Annotated[
        str | None,
        typer.Option(
            metavar="S",
            help="Standard deviation in the image's units, with %: of its 99.9th percentile, or "
            "'SNR 20': that percentile divided by S.",
        ),
    ] = None,
    dose: Annotated[
        str | None,
        typer.Option(metavar="D", help="Fraction of the full dose, above 0 and at most 1, or 25%."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any parameter of the noise model; can be given several times.",
        ),
    ] = None,
    units: Units = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same noise.")] = 0,
    series: Series = None,
    overwrite: Overwrite = False,
    list_: Annotated[
        bool,
        typer.Option(
            "--list",
            callback=_list,
            is_eager=True,
            help="List the noise models with their parameters.",
        ),
    ] = False,
) -> None:
    """Write a noisy copy of a scan, in its own format.

    Floats are written where the format has them, so that noise is not clipped; DICOM keeps its
    integers. The seed makes the noise repeatable.
    """
    from meddenoise.config import parse_settings
    from meddenoise.workflows.simulate import simulate_file

    parameters = parse_settings(set_ or [])
    for name, value in (("sigma", sigma), ("dose", dose)):
        if value is None:
            continue
        if name in parameters:
            raise ParameterError(f"{name} is said by --{name} and by --set: leave one of them out.")
        parameters |= parse_settings([f"{name}={value}"])
    written, noisy = simulate_file(
        source,
        output,
        noise=noise,
        seed=seed,
        series=series,
        units=units,
        overwrite=overwrite,
        parameters=parameters,
    )
    print(f"{source} -> {written}  ({noisy.history[-1]})")
