"""What filtered back-projection leaves in slices: noise that is weak where it is smooth."""

from __future__ import annotations

import torch
from torch import Tensor

from meddenoise.data.synthetic.fields import uneven_level, uniform
from meddenoise.noise.ct.kernels import Kernel, named_kernel
from meddenoise.noise.ct.nps import shaped
from meddenoise.noise.gaussian import gaussian

__all__ = ["reconstructed"]

# Pixels are the unit of length.
_NYQUIST = 0.5
# From smooth to sharp, and between which shares of the pixels' Nyquist frequency each ends.
_KERNELS = ("hann", "shepp-logan", "ramp")
_CUTOFFS = 0.7, 1.4


def reconstructed(
    clean: Tensor, generator: torch.Generator, *, across: int = 0
) -> tuple[Tensor, Tensor]:
    """A scan by tomography, and what it has of the anatomy.

    The noise has the power ``f K(f)^2`` in each slice and a share that is white, both stronger
    here and weaker there, of a level known to 15 %; neighbouring slices may overlap. The anatomy
    is seen through the same kernel K.

    Args:
        clean: ``(X, Y)`` or ``(X, Y, Z)``, in units of the noise's standard deviation.
        generator: where all numbers come from.
        across: the axis across the slices, of three.

    Returns:
        The noisy image and the one to find; the shape of ``clean``.
    """
    name = _KERNELS[int(uniform(0, len(_KERNELS), generator))]
    kernel = named_kernel(name, _NYQUIST, uniform(*_CUTOFFS, generator))
    slices = clean[None] if clean.ndim == 2 else clean.movedim(across, 0)
    seen = _through(slices, kernel)
    white = uniform(0, 0.4, generator)
    noise = (1 - white) ** 0.5 * shaped(_draws(slices, generator), kernel, 1.0)
    noise = noise + white**0.5 * _draws(slices, generator)
    if len(slices) > 1 and uniform(0, 1, generator) < 0.5:
        noise = _overlapping(noise, uniform(0, 0.6, generator))
    noisy = seen + noise * uneven_level(slices, generator)
    if clean.ndim == 2:
        return noisy[0], seen[0]
    return noisy.movedim(0, across), seen.movedim(0, across)


def _draws(like: Tensor, generator: torch.Generator) -> Tensor:
    return gaussian(torch.zeros_like(like), 1.0, generator=generator)


def _through(slices: Tensor, kernel: Kernel) -> Tensor:
    """``(S, X, Y)`` by a kernel; a slice goes on as its mirror image, so that no border rings."""
    size = slices.shape[1:]
    both = torch.cat([slices, slices.flip(1)], 1)
    both = torch.cat([both, both.flip(2)], 2)
    x, y = (torch.fft.fftfreq(n, device=slices.device) for n in both.shape[1:])
    response = kernel(x[:, None].hypot(y[None, : both.shape[2] // 2 + 1]))
    found = torch.fft.irfft2(torch.fft.rfft2(both) * response, s=both.shape[1:])
    return found[:, : size[0], : size[1]]


def _overlapping(noise: Tensor, share: float) -> Tensor:
    """Each slice with some of its neighbours, which go on from the start, of the same power."""
    mixed = noise + share / 2 * (noise.roll(1, 0) + noise.roll(-1, 0))
    return mixed / (1 + share**2 / 2) ** 0.5
