"""A body that never was: layers and patterns, without any intensity yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from meddenoise.data.synthetic.fields import band, distance, uniform
from meddenoise.data.synthetic.layers import Layer, cover
from meddenoise.data.synthetic.leaves import leaves
from meddenoise.data.synthetic.mosaic import mosaic
from meddenoise.data.synthetic.ribbons import ribbons
from meddenoise.data.synthetic.shells import shells
from meddenoise.data.synthetic.textures import texture
from meddenoise.data.synthetic.trabeculae import trabeculae
from meddenoise.data.synthetic.tubes import tubes

__all__ = ["PATTERNS", "Anatomy", "make_anatomy"]

PATTERNS = 5
"""Patterns of an anatomy: three textures, a heap of leaves, a mosaic."""

_LEAVES, _MOSAIC = 3, 4

# How often an anatomy has each; the more than 1, the more than one of it.
_PARTS: tuple[tuple[Callable[..., list[Layer]], float], ...] = (
    (ribbons, 1.2),
    (tubes, 0.9),
    (shells, 0.8),
    (trabeculae, 0.5),
)


@dataclass(frozen=True)
class Anatomy:
    """Layers, the lowest first, and what their intensities may follow.

    Eight bits hold a share of a voxel, and sixteen a pattern, so that many anatomies fit into
    memory.

    Attributes:
        covers: ``(L, *shape)`` uint8, the share of every voxel that a layer takes, of 255.
        patterns: ``(PATTERNS, *shape)`` float16, mean 0 and standard deviation 1.
        follows: the pattern of each layer.
        busy: see :class:`meddenoise.data.synthetic.layers.Layer`.
        kin: see there.
        body: ``shape`` uint8, the share of every voxel that is not air.
    """

    covers: Tensor
    patterns: Tensor
    follows: tuple[int, ...]
    busy: tuple[float, ...]
    kin: tuple[int, ...]
    body: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels per axis."""
        return tuple(self.body.shape)


def make_anatomy(shape: Sequence[int], generator: torch.Generator) -> Anatomy:
    """A new anatomy, a function of the generator's state alone.

    Args:
        shape: voxels per axis, two or three of them, at least 16 each.
        generator: where all draws come from; the anatomy is made on its device.
    """
    patterns = [texture(shape, generator) for _ in range(3)]
    patterns += [leaves(shape, generator), mosaic(shape, generator)]
    ground = torch.ones(tuple(shape), device=generator.device)
    # The ground is a heap, a mosaic or nearly flat; parts come over it in any order.
    kind = uniform(0, 1, generator)
    found = [Layer(ground, _LEAVES if kind < 0.4 else _MOSAIC if kind < 0.8 else 0, 0.8)]
    parts = [make for make, often in _PARTS for _ in range(_times(often, generator))]
    order = torch.randperm(len(parts), generator=generator, device=generator.device).tolist()
    for number, which in enumerate(order):
        region = _region(shape, generator)
        for layer in parts[which](shape, generator, 10 * (number + 1)):
            share = layer.cover if region is None else layer.cover * region
            found.append(Layer(share, layer.pattern, layer.busy, layer.kin))
    if uniform(0, 1, generator) < 0.3:  # organs over all that, in one place
        where = cover(distance(band(1, shape, 60, generator)[0], 0.5), 1.5)
        found.append(Layer(where, _MOSAIC, 0.8, 90))
    return Anatomy(
        covers=torch.stack([_bytes(layer.cover) for layer in found]),
        patterns=torch.stack(patterns).half(),
        follows=tuple(layer.pattern for layer in found),
        busy=tuple(layer.busy for layer in found),
        kin=tuple(layer.kin for layer in found),
        body=_bytes(_body(shape, generator)),
    )


def _times(often: float, generator: torch.Generator) -> int:
    """``often`` on average."""
    return int(often + uniform(0, 1, generator))


def _region(shape: Sequence[int], generator: torch.Generator) -> Tensor | None:
    """Where a part is; ``None``: everywhere."""
    if uniform(0, 1, generator) < 0.4:
        return None
    large = band(1, shape, uniform(40, 120, generator), generator)[0]
    return cover(distance(large, uniform(-1.0, 0.6, generator)), uniform(1, 3, generator))


def _body(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """The share of every voxel within the skin: a smooth surface, somewhere."""
    large = band(1, shape, uniform(50, 130, generator), generator)[0]
    return cover(distance(large, uniform(-1.5, 0.3, generator)))


def _bytes(share: Tensor) -> Tensor:
    return (share * 255).round_().to(torch.uint8)
