"""T1-weighted intensities of the head sample, in arbitrary scanner units before the bias field."""

from __future__ import annotations

__all__ = [
    "AIR",
    "BONE",
    "CSF",
    "DEEP_GREY",
    "FAT",
    "GREY",
    "MARROW",
    "MUCOSA",
    "MUSCLE",
    "SKIN",
    "VITREOUS",
    "WHITE",
]

AIR = 3
BONE = 38  # cortical
CSF = 110
VITREOUS = 130
MUSCLE = 335
MUCOSA = 430
GREY = 470  # cortical, at the middle contrast
SKIN = 470
DEEP_GREY = 545
MARROW = 560
WHITE = 720
FAT = 820
