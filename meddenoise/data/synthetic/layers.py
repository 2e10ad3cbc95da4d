"""What an anatomy is made of: layers that cover each other, with no intensity yet."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from meddenoise.data.synthetic.fields import uniform

__all__ = ["Layer", "cover", "edge_width"]


@dataclass(frozen=True)
class Layer:
    """One tissue, painted over what lies below it.

    Attributes:
        cover: ``(X, Y, Z)`` in 0..1, the share of every voxel that it takes.
        pattern: which of the anatomy's patterns its intensities follow.
        busy: how much of its contrast the pattern may have, 0 to 1: a texture is faint in most
            tissues, but in a heap of leaves it is all there is.
        kin: layers with the same number get intensities that are not far apart.
    """

    cover: Tensor
    pattern: int = 0
    busy: float = 0.2
    kin: int = 0


def cover(depth: Tensor, width: float = 1.0) -> Tensor:
    """The share of each voxel that a solid takes, from the depth (in voxels) below its surface.

    A ``width`` of 1 is the partial volume of a box-shaped voxel cut by a plane; more is a soft
    edge.
    """
    return (depth / width + 0.5).clamp_(0, 1)


def edge_width(generator: torch.Generator) -> float:
    """Most edges are as sharp as voxels allow, some are soft."""
    soft = uniform(0, 1, generator) < 0.25
    return uniform(1.5, 4.0, generator) if soft else 1.0
