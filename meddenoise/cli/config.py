"""``meddenoise config``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Check a configuration, or print its schema.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of configurations, for editors to complete and check from.

    Save it as meddenoise.schema.json, and begin a YAML file for VS Code and others with

    `# yaml-language-server: $schema=meddenoise.schema.json`
    """
    from meddenoise.workflows.schema import config_schema

    print(json.dumps(config_schema(), indent=2))


@app.command()
def show(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file for train.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as in train."),
    ] = None,
) -> None:
    """Check a configuration and print it with every default spelled out.

    No scan is read: a `data.patch` that the file leaves out is the default here, and train cuts it
    to scans that are smaller. Take it out again before you train from what is printed.
    """
    from meddenoise.workflows.schema import check_config

    print(check_config(config, set_ or []), end="")
