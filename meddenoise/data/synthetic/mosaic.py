"""Random label maps: space shared out among smooth fields, as SynthSeg's shapes are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from meddenoise.data.synthetic.fields import band, uniform

__all__ = ["mosaic"]


def mosaic(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Each voxel belongs to the field that is highest there, and each field has a value.

    A soft maximum, a voxel wide, instead of a hard one stands for partial volume (label maps after
    Billot et al., "SynthSeg", Medical Image Analysis 86, 2023, and Hoffmann et al., "SynthMorph",
    IEEE TMI 41(3), 2022).

    Returns:
        ``shape`` float32, mean 0 and standard deviation 1.
    """
    count = 3 + int(uniform(0, 4, generator))
    wavelength = uniform(8, 50, generator, log=True)
    fields = band(count, shape, wavelength, generator, octaves=0.6, stretch=1.3)
    # Fields differ by some 4 / wavelength from voxel to voxel.
    shares = torch.softmax(fields * (wavelength / uniform(0.6, 2.0, generator)), dim=0)
    values = torch.rand(count, generator=generator, device=generator.device)
    image = torch.tensordot(values, shares, dims=1)
    return (image - image.mean()) / image.std().clamp(min=1e-6)
