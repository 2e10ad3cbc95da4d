"""A trained network as an ONNX file, for programs that have no torch."""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from meddenoise._version import __version__
from meddenoise.errors import MissingDependency, ModelError
from meddenoise.inference.denoiser import Denoiser
from meddenoise.io.atomic import atomic_file

__all__ = ["INPUT", "OUTPUT", "PREFIX", "check_onnx_installed", "described", "write_onnx"]

INPUT, OUTPUT = "noisy", "denoised"
PREFIX = "meddenoise."

# Of what the network gives, how far ONNX Runtime may be from torch; sums in another order.
_TOLERANCE = 1e-3
_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")


def check_onnx_installed() -> None:
    """Raise before a model is loaded for nothing.

    Raises:
        MissingDependency: one of the libraries is not installed.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(name)
        except ImportError:
            raise MissingDependency(
                f'An export to ONNX needs {name}: pip install "meddenoise[onnx]".'
            ) from None


def write_onnx(denoiser: Denoiser, path: Path, *, overwrite: bool = False) -> float:
    """Write the network, and what is to be known to run it; it is read again and compared.

    The file maps ``noisy``, ``(1, inputs, *spatial)`` float32 in normalised intensities, to
    ``denoised``, ``(1, 1, *spatial)``, for any size that is a multiple of ``multiple``. Its
    metadata are those of :func:`described`.

    Args:
        denoiser: holds the network.
        path: where.
        overwrite: replace a file that is there.

    Returns:
        The largest difference of ONNX Runtime's result to torch's, as a share of its standard
        deviation, for two sizes that the export did not see.

    Raises:
        MissingDependency: ``onnx``, ``onnxscript`` or ``onnxruntime`` is not installed.
        ModelError: ONNX has no word for something in the network, or says something else by it.
        OutputError: the file is there, or cannot be written.
    """
    check_onnx_installed()
    network = denoiser.network.cpu().eval()
    multiple = denoiser.compute.multiple
    inputs = 2 if denoiser.noise_map else 1
    with atomic_file(path, overwrite=overwrite) as part, tempfile.TemporaryDirectory() as place:
        made = Path(place) / "model.onnx"
        _export(network, made, multiple, inputs)
        _describe(made, described(denoiser))
        apart = _apart(network, made, multiple, inputs)
        if not apart <= _TOLERANCE:
            raise ModelError(
                f"ONNX Runtime gives something else than torch for {denoiser.name}: they differ by "
                f"{apart:.2g} of its standard deviation. Nothing was written."
            )
        part.write_bytes(made.read_bytes())
    return apart


def described(denoiser: Denoiser) -> dict[str, str]:
    """What another program has to know: the file's ``metadata_props``, JSON but for the first two.

    ``model`` and ``version`` name the model file with its hash and us; ``dims``, ``inputs`` (2: the
    second is the noise's standard deviation, normalised likewise), ``multiple`` and ``halo`` (how
    far a voxel sees, per axis) say what may go in; ``normalise``, ``stabilise`` and ``inference``
    are the sections of the configuration, ``network`` its name and options.
    """
    compute = denoiser.compute
    told: dict[str, Any] = {
        "dims": denoiser.dims,
        "inputs": 2 if denoiser.noise_map else 1,
        "multiple": list(compute.multiple),
        "halo": list(compute.halo),
        "normalise": denoiser.normalise.model_dump(mode="json"),
        "stabilise": denoiser.stabilise.model_dump(mode="json"),
        "inference": denoiser.inference.model_dump(mode="json"),
        "network": denoiser.info.get("network", {}),
    }
    named = {"model": denoiser.name, "version": __version__}
    return {PREFIX + key: value for key, value in named.items()} | {
        PREFIX + key: json.dumps(value) for key, value in told.items()
    }


def _export(network: nn.Module, path: Path, multiple: Sequence[int], inputs: int) -> None:
    # Sizes that are all different, so that none is taken for another.
    sizes = [(3 + k) * m for k, m in enumerate(multiple)]
    free = [torch.export.Dim(name, min=1) for name in ("x", "y", "z")[: len(multiple)]]
    shapes: dict[int, Any] = {}
    for axis, (dim, m) in enumerate(zip(free, multiple, strict=True)):
        shapes[axis + 2] = m * dim if m > 1 else dim
    example = torch.randn(1, inputs, *sizes, generator=torch.Generator().manual_seed(0))
    with _quiet():
        try:
            program = torch.onnx.export(
                network,
                (example,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=(shapes,),
                dynamo=True,
                verbose=False,
            )
            assert program is not None  # with dynamo there is one
            program.save(path, external_data=False)
        except Exception as fault:
            why = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
            raise ModelError(f"This network cannot be written as ONNX: {why}") from fault


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks of every step and of packages that it does without."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


def _describe(path: Path, told: dict[str, str]) -> None:
    import onnx

    model = onnx.load(path)
    onnx.checker.check_model(model)
    onnx.helper.set_model_props(model, told)
    model.producer_name, model.producer_version = "meddenoise", __version__
    onnx.save(model, path)


def _apart(network: nn.Module, path: Path, multiple: Sequence[int], inputs: int) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    drawn = torch.Generator().manual_seed(1)
    apart = 0.0
    for more in (2, 5):
        sizes = [(more + k % 2) * m for k, m in enumerate(multiple)]
        x = torch.randn(1, inputs, *sizes, generator=drawn)
        with torch.inference_mode():
            expected = network(x).numpy()
        found = session.run(None, {INPUT: x.numpy()})[0]
        if found.shape != expected.shape or not np.isfinite(found).all():
            return float("inf")
        spread = max(float(expected.std()), float(np.finfo(np.float32).tiny))
        apart = max(apart, float(np.abs(found - expected).max()) / spread)
    return apart
