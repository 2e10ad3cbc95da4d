"""``meddenoise export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meddenoise.cli.options import Overwrite

__all__ = ["export"]


def export(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="The model.safetensors that 'meddenoise train' wrote."
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A file that ends in .onnx.")],
    overwrite: Overwrite = False,
) -> None:
    """Write a model's network as ONNX, for programs that have no torch.

    Sizes are free (multiples of what the file's metadata say), intensities are normalised ones.
    What is written is run by ONNX Runtime and compared to torch. `meddenoise denoise` does not use
    it: on a CPU torch is faster (docs/speed.md).
    """
    from meddenoise.workflows.export import export as run

    made = run(model, output, overwrite=overwrite)
    print(f"{made.path}  the network {made.network}, for ONNX")
    print(f"  as torch to {made.apart:.1g} of its standard deviation")
