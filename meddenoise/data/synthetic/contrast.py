"""Intensities for an anatomy: any MRI contrast, or Hounsfield units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from meddenoise.data.synthetic.anatomy import Anatomy
from meddenoise.data.synthetic.fields import uniform

__all__ = ["Contrast", "ct_contrast", "mr_contrast", "paint"]

# HU, from and to, and how often.
_HU = (
    (-1000.0, -950.0, 1.0),  # air
    (-900.0, -650.0, 1.0),  # lung
    (-120.0, -70.0, 2.5),  # fat
    (-10.0, 25.0, 1.5),  # water
    (25.0, 75.0, 5.0),  # organs, muscle
    (80.0, 350.0, 1.0),  # contrast agent
    (150.0, 500.0, 1.0),  # spongy bone
    (600.0, 1800.0, 0.8),  # compact bone
)


@dataclass(frozen=True)
class Contrast:
    """What each layer of an anatomy looks like.

    Attributes:
        means: one a layer.
        swings: by how much the layer's pattern changes it, per standard deviation of the pattern.
        air: what is outside the body.
    """

    means: tuple[float, ...]
    swings: tuple[float, ...]
    air: float


def mr_contrast(anatomy: Anatomy, generator: torch.Generator) -> Contrast:
    """Intensities between about 0 and 1, as unlike or alike as in any sequence.

    Tissues are drawn from a part of the range, kin from a part of that; now and then one is
    anywhere, like a vessel or fluid.
    """
    spread = uniform(0.15, 1.0, generator, log=True)
    middle = uniform(spread / 2, 1 - spread / 2, generator)
    closeness = uniform(0.2, 1.0, generator)
    bases = {
        kin: middle + spread * uniform(-0.5, 0.5, generator)
        for kin in sorted({*anatomy.kin, *range(10 * (1 + max(anatomy.kin) // 10))})
    }
    grain = uniform(0.005, 0.25, generator, log=True)
    means, swings = [], []
    for kin, busy in zip(anatomy.kin, anatomy.busy, strict=True):
        mean = bases[kin] + closeness * spread * uniform(-0.5, 0.5, generator)
        if uniform(0, 1, generator) < 0.12:
            mean = uniform(0, 1, generator)
        means.append(min(max(mean, 0.0), 1.1))
        much = uniform(0.1, 0.5, generator) if busy > 0.5 else grain * uniform(0.2, 2, generator)
        swings.append(spread * much * (busy if busy > 0.5 else min(1.0, 5 * busy)))
    return Contrast(tuple(means), tuple(swings), 0.0)


def ct_contrast(anatomy: Anatomy, generator: torch.Generator) -> Contrast:
    """Hounsfield units: each layer is some tissue's; its pattern is faint, but in lung and bone."""
    often = torch.tensor([weight for *_, weight in _HU], device=generator.device)
    drawn = torch.multinomial(often, len(anatomy.kin), replacement=True, generator=generator)
    means, swings = [], []
    for which, busy in zip(drawn.tolist(), anatomy.busy, strict=True):
        low, high, _ = _HU[which]
        means.append(uniform(low, high, generator))
        coarse = which in (1, 6, 7)
        width = uniform(30, 150, generator) if coarse else uniform(1, 20, generator, log=True)
        swings.append(width * (4.0 if busy > 0.5 else min(1.0, 5 * busy)))
    return Contrast(tuple(means), tuple(swings), -1000.0)


def paint(
    anatomy: Anatomy, contrast: Contrast, where: Sequence[Tensor], *, in_air: bool
) -> tuple[Tensor, Tensor]:
    """The intensities of a part of an anatomy.

    Args:
        anatomy: whose.
        contrast: one for each of its layers.
        where: indices along each axis; their order may turn and repeat the anatomy.
        in_air: whether there is an outside.

    Returns:
        Image and body (the share of every voxel that is not air), of the indices' lengths,
        float32.
    """
    patterns = {f: _part(anatomy.patterns[f], where).float() for f in sorted(set(anatomy.follows))}
    covers = _part(anatomy.covers, where).float() / 255
    rows = zip(contrast.means, contrast.swings, anatomy.follows, strict=True)
    values = (patterns[follows] * swing + mean for mean, swing, follows in rows)
    image = next(values)
    for value, cover in zip(values, covers[1:], strict=True):
        image = torch.lerp(image, value, cover)
    body = _part(anatomy.body, where).float() / 255
    if in_air:
        image = contrast.air + body * (image - contrast.air)
    return image, body


def _part(whole: Tensor, where: Sequence[Tensor]) -> Tensor:
    """What lies at these indices along the last axes; an axis after the other is quickest."""
    first = whole.ndim - len(where)
    for axis, indices in enumerate(where):
        whole = whole.index_select(first + axis, indices)
    return whole
