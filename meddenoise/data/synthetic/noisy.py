"""Noise of any kind, in units of its own standard deviation: what a network is to see."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from meddenoise.data.synthetic.fields import uniform
from meddenoise.noise.gaussian import gaussian
from meddenoise.noise.mri.kspace import kspace_filter
from meddenoise.noise.mri.rician import rician
from meddenoise.noise.mri.varying import varying
from meddenoise.noise.poisson_gaussian import poisson_gaussian
from meddenoise.noise.rician_vst import RicianStabilisation

__all__ = ["KINDS", "Pair", "correlated", "counted", "stabilised", "uneven", "white"]

Pair = tuple[Tensor, Tensor]
"""A noisy image and the one to find; of the same shape, with noise of a deviation of about 1."""


def white(clean: Tensor, generator: torch.Generator) -> Pair:
    """Gaussian, independent from voxel to voxel, of a level known to 10 %."""
    level = uniform(0.9, 1.1, generator)
    return gaussian(clean, level, generator=generator), clean


def uneven(clean: Tensor, generator: torch.Generator) -> Pair:
    """Stronger here and weaker there, up to twice: what is left where a noise map is wrong."""
    variation = uniform(1.1, 2.0, generator)
    noisy = varying(clean, 1.0, variation=variation, distribution="gaussian", generator=generator)
    return noisy, clean


def correlated(clean: Tensor, generator: torch.Generator) -> Pair:
    """Mildly alike from voxel to voxel, as after zero filling, apodisation or a CT kernel."""
    h = torch.ones(())
    for size in clean.shape:
        one = kspace_filter(
            [size],
            zero_filling=uniform(1.0, 1.3, generator),
            apodisation=uniform(0.0, 0.7, generator),
            phase_axis=0,
        )
        h = h[..., None] * one
    h = h.to(clean.device)
    noise = gaussian(torch.zeros_like(clean), 1.0, generator=generator)
    noise = torch.fft.ifftn(torch.fft.fftn(noise) * h / h.square().mean().sqrt()).real
    return clean + noise, clean


def stabilised(clean: Tensor, generator: torch.Generator) -> Pair:
    """Rician noise after the stabilisation that a user's scan goes through.

    The one to find is what the stabilised image is on average; the stabilisation's inverse has
    no bias left.
    """
    way = RicianStabilisation(1.0)
    positive = clean.clamp(min=0)
    noisy = rician(positive, 1.0, generator=generator).cpu().numpy()
    found = way.forward(noisy), way.expected(positive.cpu().numpy())
    noisy_there, expected = (torch.from_numpy(array).to(clean) for array in found)
    return noisy_there, expected


def counted(clean: Tensor, generator: torch.Generator) -> Pair:
    """Counted photons and a detector's noise, with a variance of 1 on average."""
    low = clean.amin()
    light = (clean - low).clamp(min=0)
    share = uniform(0.2, 0.8, generator)
    mean = max(float(light.mean()), 1e-3)
    noisy = poisson_gaussian(light, share / mean, sigma=(1 - share) ** 0.5, generator=generator)
    return noisy + low, clean


KINDS: tuple[tuple[Callable[[Tensor, torch.Generator], Pair], float], ...] = (
    (white, 0.5),
    (uneven, 0.15),
    (correlated, 0.1),
    (stabilised, 0.2),
    (counted, 0.05),
)
"""Each kind, and how often it is drawn."""
