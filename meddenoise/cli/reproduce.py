"""``meddenoise reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["reproduce"]


def reproduce(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a finished run.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="For the new run [default: RUN-again beside it]."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the new run's directory, if it is a run.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, ... [default: that of the run].")
    ] = None,
) -> None:
    """Run a training again, and say whether it comes out the same.

    It takes the run's own configuration, seed, device and number of threads. On the same processor
    with the same versions all weights and numbers are the same to the bit; elsewhere they should
    agree within 0.1 dB of PSNR and 2 % of the others. What was different is said. The exit status
    is 1 if the numbers do not agree.
    """
    from meddenoise.workflows.reproduce import reproduce as again

    told = again(run, output=output, overwrite=overwrite, device=device)
    for sentence in told.conditions:
        print(sentence)
    apart = [one for one in told.numbers if one.before != one.now]
    for one in apart:
        print(f"{one.name}: {one.before} -> {one.now}{'' if one.agrees else '  does not agree'}")
    same = "the same to the bit" if told.weights else "not the same to the bit"
    equal = f"{len(told.numbers) - len(apart)} of {len(told.numbers)} numbers are equal"
    print(f"{equal}; the weights are {same}.")
    print(f"{told.directory}: {told.verdict}")
    if told.verdict == "differs":
        raise typer.Exit(1)
