"""Random smooth fields, the clay that procedural anatomy is formed of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from meddenoise.noise.mri.varying import smooth_field

__all__ = ["band", "distance", "power_law", "uneven_level", "uniform"]


def uniform(low: float, high: float, generator: torch.Generator, *, log: bool = False) -> float:
    """One number between ``low`` and ``high``; with ``log`` its logarithm is uniform."""
    place = float(torch.rand((), generator=generator, device=generator.device))
    if log:
        return float(low * (high / low) ** place)
    return low + (high - low) * place


def uneven_level(like: Tensor, generator: torch.Generator) -> Tensor:
    """A deviation of about 1 at each voxel, known to 15 %: up to 2.2 times as high here as there.

    Args:
        like: the image whose shape and device are taken.
        generator: where it comes from.
    """
    middle, variation = uniform(0.85, 1.15, generator), uniform(1.0, 2.2, generator)
    level: Tensor = middle * variation ** (smooth_field(like, generator) - 0.5)
    return level


def band(
    count: int,
    shape: Sequence[int],
    wavelength: float,
    generator: torch.Generator,
    *,
    octaves: float = 0.5,
    stretch: float = 1.0,
) -> Tensor:
    """Gaussian random fields whose waves have about one length.

    White noise times ``exp(-(log2(f wavelength))^2 / (2 octaves^2))`` in the Fourier domain, so
    the fields are periodic.

    Args:
        count: how many, independent of each other.
        shape: voxels per axis.
        wavelength: in voxels.
        generator: of all random numbers; the fields are made on its device.
        octaves: how far the lengths scatter.
        stretch: each axis is drawn out or pressed by up to this factor, at random.

    Returns:
        ``(count, *shape)`` float32, each with mean 0 and standard deviation 1.
    """
    frequency = _frequency(shape, generator, stretch)
    amplitude = torch.exp(-(torch.log2(frequency * wavelength) ** 2) / (2 * octaves**2))
    return _filtered(count, shape, amplitude, generator)


def power_law(
    count: int, shape: Sequence[int], exponent: float, generator: torch.Generator
) -> Tensor:
    """Fields with structure at all scales: amplitude ``f^-exponent``; see :func:`band`.

    1.5 (in 3-D) has as much in every octave; more is smoother, less is rougher.
    """
    frequency = _frequency(shape, generator, 1.0)
    return _filtered(count, shape, frequency.clamp(min=1 / max(shape)) ** -exponent, generator)


def distance(field: Tensor, level: float = 0.0) -> Tensor:
    """About how many voxels each place is from where the field is at ``level``.

    ``(field - level) / |gradient|``, the first-order estimate of the signed distance: true near
    the level, where edges and thin layers are drawn, and no more than a guide far from it.

    Args:
        field: ``(X, Y)`` or ``(X, Y, Z)``.
        level: whose level set it is.
    """
    square = torch.zeros_like(field)
    for axis in range(field.ndim):
        step = (torch.roll(field, -1, axis) - torch.roll(field, 1, axis)) / 2
        square += step.square_()
    return (field - level) / square.add_(1e-6).sqrt_()


def _frequency(shape: Sequence[int], generator: torch.Generator, stretch: float) -> Tensor:
    """``|f|`` in cycles per voxel, on the half grid of a real transform."""
    device, dims = generator.device, len(shape)
    square = torch.zeros((), device=device)
    for axis, size in enumerate(shape):
        last = axis == dims - 1
        f = torch.fft.rfftfreq(size) if last else torch.fft.fftfreq(size)
        if stretch > 1:
            f = f * uniform(1 / stretch, stretch, generator, log=True)
        square = square[..., None] + f.to(device) ** 2
    # Zero has no wavelength; it is taken out below.
    return square.sqrt().clamp(min=1e-6)


def _filtered(
    count: int, shape: Sequence[int], amplitude: Tensor, generator: torch.Generator
) -> Tensor:
    amplitude = amplitude.clone()
    amplitude[(0,) * len(shape)] = 0
    size = (count, *amplitude.shape)
    white = torch.view_as_complex(
        torch.randn((*size, 2), generator=generator, device=generator.device)
    )
    axes = tuple(range(1, len(shape) + 1))
    fields = torch.fft.irfftn(white * amplitude, s=tuple(shape), dim=axes)
    scale = fields.flatten(1).std(dim=1).clamp(min=math.sqrt(torch.finfo(fields.dtype).tiny))
    return fields / scale.view(-1, *[1] * len(shape))
