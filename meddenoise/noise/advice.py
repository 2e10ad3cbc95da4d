"""What follows from a scan's noise for the choice of a method, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meddenoise.noise.background import agree

if TYPE_CHECKING:
    from meddenoise.noise.estimation import NoiseEstimate

__all__ = ["advise"]

# Below that percentage of the brightest, what anatomy leaves in the finest band is as strong.
_WEAK = 1.0


def advise(noise: NoiseEstimate) -> str:
    """A few sentences: whether blind spots may be used, what else, and what is odd."""
    if noise.sigma == 0:
        return "No noise can be seen."
    told = [
        *_on_weakness(noise),
        *_on_blind_spots(noise),
        *_on_model(noise),
        *_on_background(noise),
    ]
    return " ".join(told)


def _on_model(noise: NoiseEstimate) -> list[str]:
    if noise.model != "unknown":
        return []
    return [
        "No model here describes its noise, which depends on the signal: sigma is that of the "
        "quietest tissue."
    ]


def _on_weakness(noise: NoiseEstimate) -> list[str]:
    """That there is little to estimate."""
    percent = noise.percent
    if percent is None or percent >= _WEAK or noise.mppca is not None:
        return []
    return [
        f"The noise is weak ({percent:.2g} % of the 99.9th percentile), and fine anatomy may pass "
        "for it."
    ]


def _on_blind_spots(noise: NoiseEstimate) -> list[str]:
    """Whether a method that predicts a voxel from its neighbours may be used, or what else."""
    correlation, axes = noise.correlation, noise.correlation.axes
    if all(np.isnan(c) for c in correlation.nearest):
        return ["The image is too small to tell whether its noise is independent between voxels."]
    if not axes:
        return ["The noise is independent from voxel to voxel: Noise2Void may be used."]
    named = " and ".join(f"{'xyz'[axis]} ({correlation.strongest(axis)})" for axis in axes)
    ways = ["a filter (bm4d, which is told of it)", "a supervised network"]
    if len(axes) < len(correlation.nearest):
        along = " and ".join("xyz"[axis] for axis in axes)
        ways.insert(1, f"struct_noise2void, which hides neighbours along {along} as well")
    if noise.mppca is not None:
        ways.insert(0, "mppca or patch2self, which compare the volumes")
    return [
        f"The noise is correlated along {named}, and Noise2Void would keep it: take "
        f"{'; '.join(ways[:-1])}; or {ways[-1]}."
    ]


def _on_background(noise: NoiseEstimate) -> list[str]:
    """What is odd about a background that is not as noisy as the tissue."""
    empty = noise.background
    if empty is None or noise.mppca is not None or noise.photons is not None:
        return []
    if agree(empty, noise.tissue):
        return []
    return [
        f"The background's noise ({empty:.4g}) is not that of the tissue ({noise.tissue:.4g}, "
        "which was taken): it varies in space, or one of them was processed."
    ]
