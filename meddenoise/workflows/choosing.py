"""``--method auto``: looks at a scan and chooses how to denoise it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from meddenoise.noise.correlation import Correlation
from meddenoise.noise.estimation import NoiseEstimate, estimate
from meddenoise.noise.level import reference_intensity
from meddenoise.noise.mppca import FEWEST_VOLUMES, distinct_volumes
from meddenoise.noise.stabilise import LIKE_PHOTONS
from meddenoise.pretrained.assumed import unknown_traits
from meddenoise.volume import Volume

__all__ = ["SHORTEST_TRAINING", "STABILISED", "Choice", "choose", "noise_seen", "visible"]

SHORTEST_TRAINING = 30.0
"""Seconds below which a network learns too little on 2 cores to be better than a filter."""

# Of the scan's 99.9th percentile: less is no noise, but what floats cannot tell.
_ROUNDING = 1e-6

STABILISED = {"rician": "rician", "poisson_gaussian": "anscombe"}
"""How noise of a model is stabilised."""


@dataclass(frozen=True)
class Choice:
    """How one scan is denoised.

    Attributes:
        method: a filter.
        options: the filter's.
        stabilise: as in :func:`meddenoise.denoise`.
        why: what was seen and what follows, a sentence each.
        correlation: of the noise between a voxel and its neighbours, if all channels have the same.
    """

    method: str
    stabilise: str
    why: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    correlation: Correlation | None = None


def choose(volume: Volume, *, budget: float | None = None, sigma: float | None = None) -> Choice:
    """The method for a scan, by its noise.

    - A series of 6 volumes and more that are neither blank nor copies of others, where DIPY is
      installed: MP-PCA, which compares the volumes.
    - Any other scan: the mean of BM4D, which is told how the noise is correlated, and the network
      that ships, or BM4D alone where that network does not know such scans.
    - With time, where noise is independent between voxels: what a few numbers and a network learn
      from the scan that they left undone. In the minutes that a user waits, networks that start
      from nothing stay below BM4D (``benchmarks/self_supervised.py``). Nothing is learnt from
      correlated noise: with zero filling from 75 % of k-space one of eight heads lost 0.9 dB, and
      two gained 0.1.

    Rician noise is stabilised around whatever is chosen, and photon noise unless a sigma is said.

    Args:
        volume: the scan.
        budget: seconds for training; ``None`` for none.
        sigma: the noise's standard deviation in image units, if it is known.

    Raises:
        ParameterError: the noise cannot be estimated.
    """
    noise = estimate(volume)
    stabilise = STABILISED.get(noise.model, "none")
    shown = visible(noise, volume)
    seen = [noise_seen(noise, sigma) if shown or sigma is not None else "No noise can be seen."]
    if sigma is None and not shown:
        return Choice("identity", "none", (*seen, "So the scan is left as it is."))
    if stabilise == "anscombe" and sigma is not None:
        stabilise = "none"
        seen = [f"The noise has a sigma of {sigma:.4g}, as was said.", LIKE_PHOTONS]
    if stabilise != "none":
        kind = "Rician" if stabilise == "rician" else "photon"
        seen.append(f"Its {kind} noise is stabilised, and its bias goes with it.")
    compared = _compared(volume) if volume.channels >= FEWEST_VOLUMES else 0
    if volume.dims == 3 and compared >= FEWEST_VOLUMES:
        if importlib.util.find_spec("dipy") is not None:
            seen.append(f"Its {compared} volumes are compared with each other.")
            if budget is not None:
                seen.append("It needs no training: the budget is left.")
            seen.append("Taken: mppca.")
            return Choice("mppca", stabilise, tuple(seen))
        seen.append(
            "Its volumes could be compared with each other: pip install 'meddenoise[dipy]'; "
            "without it each is denoised by itself."
        )
    seen.append(_correlation(noise))
    unknown = unknown_traits(noise, volume, sigma)
    if unknown:
        seen.append(f"The network that ships was not trained for {', '.join(unknown)}.")
    method, named = (
        ("bm4d", "bm4d")
        if unknown
        else ("ensemble", "ensemble, the mean of bm4d and the network that ships")
    )
    along = noise.correlation if volume.channels == 1 else None
    if noise.correlated and budget is not None:
        seen.append("Nothing is learnt from a scan whose noise is correlated: the budget is left.")
    if noise.correlated:
        return Choice(method, stabilise, (*seen, f"Taken: {named}."), correlation=along)
    if budget is None or budget < SHORTEST_TRAINING:
        more = f"--budget {SHORTEST_TRAINING:g} or more would refine it by training."
        why = (*seen, f"Taken: {named}.", more)
        return Choice(method, stabilise, why, correlation=along)
    seen.append(f"Taken: {named}, refined by what is learnt from the scan, {budget:g} s in all.")
    each = {"seconds": budget / volume.channels}
    return Choice(f"{method}_refined", stabilise, tuple(seen), each, along)


def _compared(volume: Volume) -> int:
    """How many channels there are to compare: not blank, and no copy of another."""
    return len(distinct_volumes(np.where(volume.valid, volume.array, 0)))


def _correlation(noise: NoiseEstimate) -> str:
    """A sentence on whether neighbours share noise."""
    found = noise.correlation
    if not found.axes:
        return "The noise is independent between voxels, as far as can be seen."
    along = " and ".join(f"{'xyz'[axis]} ({found.strongest(axis)})" for axis in found.axes)
    return f"The noise is correlated along {along}, as BM4D is told."


def visible(noise: NoiseEstimate, volume: Volume) -> bool:
    """Whether it is more than rounding."""
    return noise.sigma > _ROUNDING * abs(reference_intensity(volume.array[volume.valid]))


def noise_seen(noise: NoiseEstimate, sigma: float | None = None) -> str:
    """A sentence on a scan's noise."""
    if sigma is not None:
        return f"The noise has a sigma of {sigma:.4g}, as was said, and is {_named(noise)}."
    return f"The noise is estimated to be {_named(noise)}, with a sigma of {noise.sigma:.4g}."


def _named(noise: NoiseEstimate) -> str:
    return {
        "gaussian": "Gaussian",
        "rician": "Rician",
        "poisson_gaussian": "that of counted photons",
    }.get(noise.model, "of no known model")
