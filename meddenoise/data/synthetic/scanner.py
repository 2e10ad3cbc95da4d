"""What a scanner does to an anatomy before any noise: shading, blur, wide voxels, thick slices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from meddenoise.data.synthetic.fields import uniform
from meddenoise.noise.mri.varying import smooth_field

__all__ = ["blurred", "resolved", "shaded", "thick_slices"]

# Of a voxel's width, the deviation of a Gaussian that is about as wide.
_APERTURE = 0.35


def shaded(image: Tensor, generator: torch.Generator) -> Tensor:
    """Times a smooth bias field, at most about threefold from one end to the other."""
    strength = uniform(0, 1.2, generator)
    result: Tensor = image * torch.exp(strength * (smooth_field(image, generator) - 0.5))
    return result


def blurred(image: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Through a Gaussian point spread of so many voxels along each axis (0: none)."""
    x = image[None, None]
    for axis, sigma in enumerate(sigmas):
        if sigma <= 0.1:
            continue
        reach = max(1, int(3 * sigma + 0.5))
        at = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
        kernel = torch.exp(-(at**2) / (2 * sigma**2))
        shape = [1] * (image.ndim + 2)
        shape[axis + 2] = len(at)
        pads = [0] * (2 * image.ndim)
        pads[2 * (image.ndim - 1 - axis)] = pads[2 * (image.ndim - 1 - axis) + 1] = reach
        kernel = (kernel / kernel.sum()).view(shape)
        apply = F.conv3d if image.ndim == 3 else F.conv2d
        x = apply(F.pad(x, pads, mode="replicate"), kernel)
    return x[0, 0]


def resolved(image: Tensor, shape: Sequence[int]) -> Tensor:
    """By fewer and wider voxels, each with a share of whatever lies around its middle.

    Args:
        image: along each axis at least as many voxels as ``shape``.
        shape: of the result.
    """
    widths = [size / new for size, new in zip(image.shape, shape, strict=True)]
    seen = blurred(image, [_APERTURE * width if width > 1 else 0.0 for width in widths])
    mode = "trilinear" if image.ndim == 3 else "bilinear"
    return F.interpolate(seen[None, None], size=tuple(shape), mode=mode)[0, 0]


def thick_slices(image: Tensor, axis: int, thickness: int) -> Tensor:
    """Means of so many neighbours along an axis: slices that are thicker than pixels are wide."""
    return image.unflatten(axis, (-1, thickness)).mean(axis + 1) if thickness > 1 else image
