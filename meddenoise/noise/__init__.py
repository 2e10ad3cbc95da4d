"""Noise models and noise estimation: pure tensor functions with physical units.

A model is a function ``f(x, ..., generator)`` of a tensor; :func:`register_noise` adds one.
Importing this package imports no torch: the functions do when they draw.
"""

from __future__ import annotations

from meddenoise.noise.estimate import estimate_sigma
from meddenoise.noise.gaussian import gaussian
from meddenoise.noise.level import Level, parse_level, reference_intensity
from meddenoise.noise.poisson import ct_sigma, poisson_ct
from meddenoise.noise.registry import NoiseModel, build_noise, noise_names, register_noise
from meddenoise.noise.rician import rician
from meddenoise.noise.simulate import simulate

__all__ = [
    "Level",
    "NoiseModel",
    "build_noise",
    "ct_sigma",
    "estimate_sigma",
    "gaussian",
    "noise_names",
    "parse_level",
    "poisson_ct",
    "reference_intensity",
    "register_noise",
    "rician",
    "simulate",
]
