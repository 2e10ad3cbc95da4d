"""Procedural anatomy: endless training data that stem from no patient.

As SynthSeg showed for segmentation, a network that saw enough randomness takes the real for one
more case of it. An anatomy (:func:`make_anatomy`) is a stack of shapes without intensities; each
time it is used it gets a contrast, a scanner and noise of its own (:class:`SyntheticSampler`).
"""

from __future__ import annotations

from meddenoise.data.synthetic.anatomy import Anatomy, make_anatomy
from meddenoise.data.synthetic.sampler import SyntheticSampler
from meddenoise.data.synthetic.supply import Supply

__all__ = ["Anatomy", "Supply", "SyntheticSampler", "make_anatomy"]
