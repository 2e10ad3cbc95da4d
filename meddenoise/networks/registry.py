"""Networks by name.

A network maps ``(B, 1, *spatial)`` to the same shape, for any spatial size, in float. Its
constructor takes ``dims`` (2 or 3) first; its other keyword parameters are the options of a
configuration's ``network`` section::

    @register_network("mine")
    class Mine(nn.Module):
        def __init__(self, dims: int = 3, width: int = 16) -> None: ...

One whose constructor takes ``inputs`` as well can be trained with a noise map: it then maps
``(B, 2, *spatial)``, the image and the noise's level, to ``(B, 1, *spatial)``. Two attributes of a
network tell how it may be tiled: ``halo``, how many voxels per axis an output voxel sees on either
side, and ``multiple``, voxels per axis of its coarsest grid's cell; without them it is taken for
one that sees 16 voxels and halves its grid three times. A class attribute ``axes`` of ``(3,)`` says
that it knows no other ``dims``.
"""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from torch import nn

from meddenoise.config.options import check_options
from meddenoise.errors import ConfigError
from meddenoise.registry import Registry

__all__ = [
    "NETWORKS",
    "axes_of",
    "build_network",
    "is_too_large",
    "network_names",
    "register_network",
    "takes_noise_map",
]

M = TypeVar("M", bound=type[nn.Module])

# What torch says of weights that no memory holds, or whose number no integer does.
_TOO_LARGE = (
    "can't allocate memory",
    "not enough memory",
    "Storage size calculation overflowed",
    "Overflow when unpacking long",
)

NETWORKS: Registry[type[nn.Module]] = Registry("network", skip=("dims", "inputs"))


def register_network(name: str) -> Any:
    """A class decorator that makes a network known to configurations by ``name``."""
    return NETWORKS.register(name)


def network_names() -> tuple[str, ...]:
    """The names that ``network.name`` may take."""
    return NETWORKS.names()


def axes_of(name: str) -> tuple[int, ...]:
    """Which ``dims`` a network has: its class's ``axes``, or 2 and 3."""
    return tuple(getattr(NETWORKS.get(name), "axes", (2, 3)))


def takes_noise_map(name: str) -> bool:
    """Whether a network can be told the noise's level in a second channel."""
    return "inputs" in inspect.signature(NETWORKS.get(name)).parameters


def is_too_large(fault: BaseException) -> bool:
    """Whether a network could not be built because no memory holds its weights."""
    return isinstance(fault, MemoryError) or any(sign in str(fault) for sign in _TOO_LARGE)


def build_network(name: str, dims: int = 3, inputs: int = 1, **options: Any) -> nn.Module:
    """A new network with freshly drawn weights.

    Args:
        name: one of :func:`network_names`.
        dims: 2 or 3, the number of spatial axes.
        inputs: channels of the input: 1, or 2 with a noise map. The output has one.
        options: keyword parameters of that network.

    Raises:
        ConfigError: no such network, an option that it does not have, more weights than there is
            memory for, or a noise map for a network that takes none.
    """
    if dims not in (2, 3):
        raise ConfigError(f"A network has 2 or 3 spatial axes, not {dims}.")
    given = check_options(NETWORKS.options(name), options, section="network")
    if inputs != 1:
        if not takes_noise_map(name):
            raise ConfigError(
                f"The network '{name}' takes no noise map: for one, its constructor needs a "
                "parameter 'inputs', the number of input channels."
            )
        given["inputs"] = inputs
    try:
        return NETWORKS.get(name)(dims=dims, **given)
    except (MemoryError, OverflowError, RuntimeError, TypeError) as fault:
        if not is_too_large(fault):
            raise
        said = ", ".join(f"{key} {value}" for key, value in options.items())
        raise ConfigError(
            f"The network '{name}' with {said or 'its defaults'} has more weights than there is "
            "memory for: give it smaller numbers."
        ) from None
