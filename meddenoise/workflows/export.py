"""A model file for other programs: ``meddenoise export``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from meddenoise.errors import OutputError
from meddenoise.inference.onnx_file import check_onnx_installed, write_onnx
from meddenoise.io.atomic import check_output
from meddenoise.io.named import path_of

__all__ = ["Exported", "export"]


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the file.
        apart: the largest difference to torch's result, as a share of its standard deviation.
        network: the network's name.
    """

    path: Path
    apart: float
    network: str


def export(
    model: str | os.PathLike[str], output: str | os.PathLike[str], *, overwrite: bool = False
) -> Exported:
    """Write the network of a model file as ONNX.

    See :func:`meddenoise.inference.onnx_file.write_onnx` for what is in the file.

    Args:
        model: the model file.
        output: a name that ends in ``.onnx``.
        overwrite: replace a file that is there.

    Raises:
        OutputError: another ending, or it cannot be written.
        ModelError: the model file cannot be used, or its network not written as ONNX.
        MissingDependency: the extra ``onnx`` is not installed.
    """
    from meddenoise.inference import Denoiser

    target = path_of(output)
    if target.suffix.lower() != ".onnx":
        raise OutputError(f"{target} does not end in .onnx, which is what is written.")
    check_output(target)
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists: choose another name, or say --overwrite.")
    check_onnx_installed()
    denoiser = Denoiser.load(path_of(model), device="cpu")
    apart = write_onnx(denoiser, target, overwrite=overwrite)
    return Exported(target, apart, str(denoiser.info.get("network", {}).get("name", "")))
