"""CT noise as scanners make it: on the rays, through filtered back-projection, or by its spectrum.

Attenuation is in 1/mm, lengths in mm, electronic noise a standard deviation in photons.
"""

from __future__ import annotations

from meddenoise.noise.ct.geometry import Geometry, geometry_for
from meddenoise.noise.ct.insertion import ct_insertion, insertion_sigma
from meddenoise.noise.ct.kernels import KERNELS, Kernel, named_kernel
from meddenoise.noise.ct.measure import ScanNoise, measure_noise
from meddenoise.noise.ct.nps import ct_nps
from meddenoise.noise.ct.projection import ct_projection, noisy_line_integrals
from meddenoise.noise.ct.projector import project, reconstruct
from meddenoise.noise.ct.slices import AIR_HU

__all__ = [
    "AIR_HU",
    "KERNELS",
    "Geometry",
    "Kernel",
    "ScanNoise",
    "ct_insertion",
    "ct_nps",
    "ct_projection",
    "geometry_for",
    "insertion_sigma",
    "measure_noise",
    "named_kernel",
    "noisy_line_integrals",
    "project",
    "reconstruct",
]
