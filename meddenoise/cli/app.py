"""Puts the subcommands together."""

from __future__ import annotations

from typing import Annotated

import typer

from meddenoise._version import __version__
from meddenoise.cli import (
    benchmark,
    compare,
    config,
    denoise,
    evaluate,
    export,
    info,
    methods,
    networks,
    pretrain,
    report,
    reproduce,
    simulate,
    train,
    tune,
)
from meddenoise.cli.failing import CommandGroup

__all__ = ["app"]

app = typer.Typer(
    name="meddenoise",
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Takes the noise out of medical images, on the scan you have, with the result back in "
        "the format it came in."
    ),
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"meddenoise {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("train")(train.train)
app.command("tune")(tune.tune)
app.command("pretrain")(pretrain.pretrain)
app.command("denoise")(denoise.denoise)
app.command("methods")(methods.methods)
app.command("networks")(networks.networks)
app.command("evaluate")(evaluate.evaluate)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("reproduce")(reproduce.reproduce)
app.command("benchmark")(benchmark.benchmark)
app.command("simulate")(simulate.simulate)
app.command("info")(info.info)
app.command("export")(export.export)
app.add_typer(config.app, name="config")
