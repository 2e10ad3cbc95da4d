"""A model file: one ``.safetensors`` with the weights and, in its header, what they are.

Nothing in it is code or a pickle: a model from a stranger cannot run anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddenoise.errors import ConfigError, ModelError
from meddenoise.io.atomic import atomic_file

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["load_model", "read_model_info", "save_model"]

_KEY = "meddenoise"
_VERSION = 1
# A header of a model with thousands of tensors is well below this.
_LARGEST_HEADER = 64 * 2**20


def read_model_info(path: str | Path) -> dict[str, Any]:
    """What a model file says of itself; reads the header only, and imports no torch.

    Returns:
        ``{"version", "network": {"name", "dims", "options"}, "normalise", "trainer",
        "training", "data", "software", ...}`` as :func:`save_model` got it.

    Raises:
        ModelError: no such file, no safetensors, or not one that meddenoise wrote.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(_LARGEST_HEADER, file.stat().st_size - 8):
                raise ModelError(f"{file} is no model file: its safetensors header is damaged.")
            header = json.loads(stream.read(length))
        info = json.loads(header["__metadata__"][_KEY])
    except OSError as fault:
        raise ModelError(f"The model file {file} cannot be read: {fault.strerror}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelError(
            f"{file} is no meddenoise model: give the model.safetensors that "
            "'meddenoise train' wrote."
        ) from None
    if not _complete(info):
        raise ModelError(f"{file} is no meddenoise model: its description is damaged.")
    if info["version"] > _VERSION:
        raise ModelError(f"{file} was written by a newer meddenoise: upgrade this one.")
    return info


def _complete(info: Any) -> bool:
    """Whether a description has what is needed to build the network."""
    if not (isinstance(info, dict) and isinstance(info.get("version"), int)):
        return False
    network = info.get("network")
    return (
        isinstance(network, dict)
        and isinstance(network.get("name"), str)
        and isinstance(network.get("dims"), int)
        and network["dims"] in (2, 3)
        and network.get("inputs", 1) in (1, 2)
        and isinstance(network.get("options", {}), dict)
        and {"name", "dims", "inputs"}.isdisjoint(network.get("options", {}))
        and isinstance(info.get("normalise"), dict)
        and isinstance(info.get("inference", {}), dict)
        and isinstance(info.get("stabilise", {}), dict)
    )


def save_model(path: str | Path, network: nn.Module, info: dict[str, Any]) -> Path:
    """Write weights and description in one step.

    Args:
        path: the file; replaced if it exists.
        network: its ``state_dict`` is saved, in float32, on no particular device.
        info: JSON-able; needs ``network`` (name, dims, options) and ``normalise``.
    """
    import torch
    from safetensors.torch import save

    # Copies, because tied weights share memory, which the format does not know.
    tensors = {
        name: _plain(value).clone(memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }
    metadata = {_KEY: json.dumps({"version": _VERSION, **info})}
    with atomic_file(path, overwrite=True) as temporary:
        Path(temporary).write_bytes(save(tensors, metadata=metadata))
    return Path(path)


def _plain(value: Tensor) -> Tensor:
    value = value.detach().cpu()
    return value.float() if value.is_floating_point() else value


def load_model(
    path: str | Path, network: nn.Module | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a model file, in evaluation mode, and its description.

    Args:
        path: the file.
        network: a module to load the weights into, for a network that is not registered.

    Raises:
        ModelError: damaged, or of a network that is not registered, or of other shapes.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from meddenoise.networks import build_network

    info = read_model_info(path)
    made = info["network"]
    if network is None:
        try:
            # Its first weights are replaced below; the caller's random numbers go on as they were.
            with torch.random.fork_rng(devices=[]):
                network = build_network(
                    made["name"],
                    dims=made["dims"],
                    inputs=made.get("inputs", 1),
                    **made.get("options", {}),
                )
        except ConfigError as fault:
            raise ModelError(
                f"{path} holds a network that this installation does not know ({fault}): register "
                "it first, or pass the module as network=."
            ) from None
    try:
        weights = load_file(path)
    except SafetensorError as fault:
        raise ModelError(f"The model file {path} is damaged: {fault}.") from None
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise ModelError(f"The weights in {path} are not all finite: its training went wrong.")
    try:
        network.load_state_dict(weights)
    except RuntimeError as fault:
        # The first line says only that there is an error, the second which.
        reason = " ".join(line.strip() for line in str(fault).splitlines()[1:2]).rstrip(".: ")
        raise ModelError(f"The weights in {path} do not fit the network: {reason}.") from None
    return network.eval(), info
