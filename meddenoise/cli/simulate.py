"""``meddenoise simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meddenoise.cli.options import Overwrite, Series

__all__ = ["simulate"]


def simulate(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A scan, or a DICOM directory.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Where the noisy copy goes.")],
    noise: Annotated[str, typer.Option(help="gaussian or rician (MRI), or poisson (CT in HU).")],
    sigma: Annotated[
        str | None,
        typer.Option(
            metavar="S",
            help="Standard deviation in the image's units, or with %: of its 99.9th percentile.",
        ),
    ] = None,
    dose: Annotated[
        float | None,
        typer.Option(metavar="D", help="Fraction of the full dose, above 0 and at most 1 (CT)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same noise.")] = 0,
    series: Series = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a noisy copy of a scan, in its own format.

    Floats are written where the format has them, so that noise is not clipped; DICOM keeps its
    integers. The seed makes the noise repeatable.
    """
    from meddenoise.workflows.simulate import simulate_file

    given = {"sigma": sigma, "dose": dose}
    parameters = {name: value for name, value in given.items() if value is not None}
    written, noisy = simulate_file(
        source, output, noise=noise, seed=seed, series=series, overwrite=overwrite, **parameters
    )
    print(f"{source} -> {written}  ({noisy.history[-1]})")
