"""``meddenoise info``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from meddenoise.cli.options import Json, Overwrite, Series, Units

__all__ = ["info"]

_UNITS = {"spacing": " mm"}


def info(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A scan, a directory of scans, or a model file.")
    ],
    series: Series = None,
    units: Units = None,
    noise_map: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the noise's local standard deviation on the scan's grid: .nii.gz, .nrrd, "
            ".mha, or .tif for a picture.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Tell what a scan is (geometry, units, values, noise and advice), or what a model is."""
    from meddenoise.workflows.info import info as describe

    told = describe(path, series=series, units=units, noise_map=noise_map, overwrite=overwrite)
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        print("\n".join(_lines(told)))


def _lines(value: dict[str, Any], indent: str = "") -> list[str]:
    """Nested values, a line each."""
    lines: list[str] = []
    for name, item in value.items():
        if isinstance(item, dict) and item:
            lines += [f"{indent}{name}:", *_lines(item, indent + "  ")]
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            for number, part in enumerate(item, start=1):
                lines += [f"{indent}{name[:-1]} {number}:", *_lines(part, indent + "  ")]
        elif isinstance(item, list) and item and isinstance(item[0], list):
            lines += [f"{indent}{name}:", *(f"{indent}  {_plain(row)}" for row in item)]
        else:
            lines.append(f"{indent}{name}: {_plain(item)}{_UNITS.get(name, '')}")
    return lines


def _plain(item: Any) -> str:
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, float):
        return f"{item:.6g}"
    if isinstance(item, list):
        return ", ".join(_plain(part) for part in item) or "none"
    return "none" if item is None else str(item) or "unknown"
