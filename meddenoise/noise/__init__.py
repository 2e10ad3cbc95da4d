"""Noise models and noise estimation: pure tensor functions with physical units.

A model is a function ``f(x, ..., generator)`` of a tensor; :func:`register_noise` adds one.
Importing this package imports no torch: the functions do when they draw.
"""

from __future__ import annotations

from meddenoise.noise.anscombe import Anscombe
from meddenoise.noise.ct import ct_insertion, ct_nps, ct_projection
from meddenoise.noise.debias import debias, debias_scan
from meddenoise.noise.estimation import NoiseEstimate, estimate
from meddenoise.noise.gaussian import gaussian
from meddenoise.noise.level import Level, parse_level, reference_intensity
from meddenoise.noise.mri import (
    coil_correlated,
    kspace,
    noncentral_chi,
    parallel_imaging,
    rician,
    varying,
)
from meddenoise.noise.pet import pet
from meddenoise.noise.poisson import ct_sigma, poisson_ct
from meddenoise.noise.poisson_gaussian import poisson_gaussian
from meddenoise.noise.registry import NoiseModel, build_noise, noise_names, register_noise
from meddenoise.noise.rician_vst import RicianStabilisation
from meddenoise.noise.rings import rings
from meddenoise.noise.salt_and_pepper import salt_and_pepper
from meddenoise.noise.simulate import simulate
from meddenoise.noise.speckle import speckle
from meddenoise.noise.stabilise import Stabilisation, find_stabilisation
from meddenoise.noise.stripes import stripes
from meddenoise.noise.thinning import thinning
from meddenoise.noise.wavelet_mad import estimate_sigma

__all__ = [
    "Anscombe",
    "Level",
    "NoiseEstimate",
    "NoiseModel",
    "RicianStabilisation",
    "Stabilisation",
    "build_noise",
    "coil_correlated",
    "ct_insertion",
    "ct_nps",
    "ct_projection",
    "ct_sigma",
    "debias",
    "debias_scan",
    "estimate",
    "estimate_sigma",
    "find_stabilisation",
    "gaussian",
    "kspace",
    "noise_names",
    "noncentral_chi",
    "parallel_imaging",
    "parse_level",
    "pet",
    "poisson_ct",
    "poisson_gaussian",
    "reference_intensity",
    "register_noise",
    "rician",
    "rings",
    "salt_and_pepper",
    "simulate",
    "speckle",
    "stripes",
    "thinning",
    "varying",
]
