"""Noise of any kind, in units of its own standard deviation: what a network is to see."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from meddenoise.data.synthetic.band import Band
from meddenoise.data.synthetic.fields import uneven_level, uniform
from meddenoise.noise.gaussian import gaussian
from meddenoise.noise.mri.rician import rician
from meddenoise.noise.mri.varying import varying
from meddenoise.noise.poisson_gaussian import poisson_gaussian
from meddenoise.noise.rician_vst import RicianStabilisation

__all__ = [
    "KINDS",
    "Band",
    "Pair",
    "correlated",
    "counted",
    "scanned",
    "stabilised",
    "uneven",
    "white",
]

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
    band = Band(
        tuple((uniform(1.0, 1.3, generator), uniform(0.0, 0.7, generator)) for _ in clean.shape)
    )
    seen = band.image(clean)
    return seen + band.noise(clean, generator), seen


def scanned(clean: Tensor, generator: torch.Generator) -> Pair:
    """All at once, as of a scanner: alike along some axes, uneven, of a level known to 15 %, and
    mostly of a magnitude that was stabilised."""
    fillings = (
        uniform(1.0, 1.35, generator) if uniform(0, 1, generator) < 0.6 else 1.0
        for _ in clean.shape
    )
    band = Band(tuple((filling, 0.0) for filling in fillings))
    level = uneven_level(clean, generator)
    noise = level * band.noise(clean, generator)
    seen = band.image(clean)
    if uniform(0, 1, generator) < 0.4:
        return seen + noise, seen
    positive = seen.clamp(min=0)
    other = level * band.noise(clean, generator)
    return _stabilised(torch.hypot(positive + noise, other), positive)


def stabilised(clean: Tensor, generator: torch.Generator) -> Pair:
    """Rician noise after the stabilisation that a user's scan goes through.

    The one to find is what the stabilised image is on average; the stabilisation's inverse has
    no bias left.
    """
    positive = clean.clamp(min=0)
    return _stabilised(rician(positive, 1.0, generator=generator), positive)


def _stabilised(magnitude: Tensor, clean: Tensor) -> Pair:
    way = RicianStabilisation(1.0)
    found = way.forward(magnitude.cpu().numpy()), way.expected(clean.cpu().numpy())
    noisy, expected = (torch.from_numpy(array).to(clean) for array in found)
    return noisy, expected


def counted(clean: Tensor, generator: torch.Generator) -> Pair:
    """Counted photons and a detector's noise, with a variance of 1 on average."""
    low = clean.amin()
    light = (clean - low).clamp(min=0)
    share = uniform(0.2, 0.8, generator)
    mean = max(float(light.mean()), 1e-3)
    noisy = poisson_gaussian(light, share / mean, sigma=(1 - share) ** 0.5, generator=generator)
    return noisy + low, clean


KINDS: tuple[tuple[Callable[[Tensor, torch.Generator], Pair], float], ...] = (
    (white, 0.4),
    (uneven, 0.1),
    (correlated, 0.1),
    (stabilised, 0.15),
    (scanned, 0.2),
    (counted, 0.05),
)
"""Each kind, and how often it is drawn."""
