"""The spatial frequencies that a scan has, of the anatomy as of its noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from meddenoise.noise.gaussian import gaussian
from meddenoise.noise.mri.kspace import kspace_filter

__all__ = ["Band"]


@dataclass(frozen=True)
class Band:
    """The part of k-space that was measured, see :func:`meddenoise.noise.kspace_filter`.

    Attributes:
        along: zero filling and apodisation, for each axis.
    """

    along: tuple[tuple[float, float], ...]

    def noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """White noise in it, of a standard deviation of 1; it wraps around.

        Args:
            like: an image, whose shape and device it has.
            generator: where it comes from.
        """
        h = torch.ones((), device=like.device)
        for size, told in zip(like.shape, self.along, strict=True):
            h = h[..., None] * _filter(size, *told).to(like.device)
        noise = gaussian(torch.zeros_like(like), 1.0, generator=generator)
        return torch.fft.ifftn(torch.fft.fftn(noise) * h / h.square().mean().sqrt()).real

    def image(self, clean: Tensor) -> Tensor:
        """An image in it: edges ring where it ends, as those of truncated k-space do.

        The image goes on as its mirror image, so that its borders do not ring.
        """
        for axis, told in enumerate(self.along):
            if told == (1.0, 0.0):
                continue
            size = clean.shape[axis]
            h = _filter(2 * size, *told)[: size + 1].to(clean.device)
            both = torch.cat([clean, clean.flip(axis)], axis)
            spectrum = torch.fft.rfft(both, dim=axis)
            spectrum *= h.view(-1, *[1] * (clean.ndim - 1 - axis))
            clean = torch.fft.irfft(spectrum, n=2 * size, dim=axis).narrow(axis, 0, size)
        return clean


def _filter(size: int, zero_filling: float, apodisation: float) -> Tensor:
    return kspace_filter([size], zero_filling=zero_filling, apodisation=apodisation, phase_axis=0)
