"""``meddenoise networks``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from meddenoise.cli.options import Device, Json

if TYPE_CHECKING:
    from meddenoise.workflows.networks import Architecture

__all__ = ["networks"]


def networks(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Which networks [default: all]."),
    ] = None,
    dims: Annotated[
        int | None, typer.Option(min=2, max=3, help="Only 2-D or only 3-D [default: both].")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Another option than the default, of one NAME: --set channels=[32,64,128].",
        ),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the speed here, a few seconds each.")
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """List what network.name of a configuration can be, and what each costs.

    Weights, operations per voxel (two for a multiply-add; convolutions and matrix products), and
    the halo: how many voxels on either side an output voxel sees. Those of MONAI take seconds to
    import.
    """
    from meddenoise.config.load import parse_settings
    from meddenoise.workflows.networks import list_networks

    listed = list_networks(
        names or (),
        dims=(2, 3) if dims is None else (dims,),
        options=parse_settings(set_ or []),
        measure=measure,
        device=device,
    )
    if as_json:
        print(json.dumps([network.as_dict() for network in listed], indent=2))
        return
    print("\n".join(_lines(listed)))


def _lines(listed: list[Architecture]) -> list[str]:
    """A line a network and number of axes, under the names of the columns; summaries once."""
    width = max([len("name"), *(len(network.name) for network in listed)])
    head = f"{'name':<{width}}  dims  {'weights':>10}  {'FLOP/voxel':>10}  {'halo':<11}  noise map"
    speeds = [network.speed for network in listed]
    lines = [head + ("  Mvoxel/s" if any(speeds) else "")]
    for network, speed in zip(listed, speeds, strict=True):
        halo = "whole" if network.halo is None else " ".join(map(str, network.halo))
        line = (
            f"{network.name:<{width}}  {network.dims:>4}  {network.weights:>10,}"
            f"  {network.flops_per_voxel:>10,.0f}  {halo:<11}"
            f"  {'yes' if network.noise_map else 'no':<9}"
        )
        lines.append(line.rstrip() if speed is None else f"{line}  {speed.mvoxel_per_second:>8.3g}")
    lines.append("")
    lines += [
        f"{name:<{width}}  {summary}"
        for name, summary in {network.name: network.summary for network in listed}.items()
    ]
    measured = [speed for speed in speeds if speed is not None]
    if measured:
        where = measured[0].device
        threads = f", {measured[0].threads} threads" if where == "cpu" else ""
        lines += ["", f"Speed: float32 on {where}{threads}, the best of three passes."]
    return lines
