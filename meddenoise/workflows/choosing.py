"""``--method auto``: looks at a scan and chooses how to denoise it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Any

from meddenoise.noise.estimation import NoiseEstimate, estimate
from meddenoise.noise.level import reference_intensity
from meddenoise.noise.mppca import FEWEST_VOLUMES
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
        method: a filter, or a trainer if ``trains``.
        trains: a network is trained on the scan itself.
        options: of the filter or trainer.
        stabilise: as in :func:`meddenoise.denoise`.
        why: what was seen and what follows, a sentence each.
    """

    method: str
    trains: bool
    stabilise: str
    why: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)


def choose(volume: Volume, *, budget: float | None = None, sigma: float | None = None) -> Choice:
    """The method for a scan, by its noise.

    - A series of 6 volumes and more, where DIPY is installed: MP-PCA, which compares the volumes.
    - Noise that is independent between voxels: BM4D, and with time to train a network that learns
      from the scan what BM4D left undone. In the minutes that a user waits, networks that start
      from nothing stay below BM4D (``benchmarks/self_supervised.py``).
    - Noise that is correlated along some axes but not all, and time to train: Noise2Void with a
      structuring mask along them.
    - Noise that is correlated along all: non-local means, whose patches are compared whole.

    Rician and photon noise are stabilised around whatever is chosen.

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
        return Choice("identity", False, "none", (*seen, "So the scan is left as it is."))
    if stabilise != "none":
        kind = "Rician" if stabilise == "rician" else "photon"
        seen.append(f"Its {kind} noise is stabilised, and its bias goes with it.")
    if volume.dims == 3 and volume.channels >= FEWEST_VOLUMES:
        if importlib.util.find_spec("dipy") is not None:
            seen.append(f"Its {volume.channels} volumes are compared with each other.")
            seen.append("Taken: mppca.")
            return Choice("mppca", False, stabilise, tuple(seen))
        seen.append(
            "Its volumes could be compared with each other: pip install 'meddenoise[dipy]'; "
            "without it each is denoised by itself."
        )
    axes = noise.correlation.axes
    if not axes:
        seen.append("The noise is independent between voxels, as far as can be seen.")
        if budget is None or budget < SHORTEST_TRAINING:
            more = f"--budget {SHORTEST_TRAINING:g} or more would refine it by training."
            return Choice("bm4d", False, stabilise, (*seen, "Taken: bm4d.", more))
        seen.append(f"Taken: bm4d, refined by a network trained on the scan, {budget:g} s in all.")
        each = {"seconds": budget / volume.channels}
        return Choice("bm4d_refined", False, stabilise, tuple(seen), each)
    along = " and ".join("xyz"[axis] for axis in axes)
    seen.append(f"The noise is correlated along {along}.")
    some = len(axes) < volume.dims
    if some and budget is not None and budget >= SHORTEST_TRAINING:
        extents = [noise.correlation.reach[axis] for axis in range(volume.dims)]
        seen.append(f"Taken: struct_noise2void, trained on the scan for {budget:g} s.")
        return Choice("struct_noise2void", True, stabilise, tuple(seen), {"extents": extents})
    if some:
        seen.append(f"--budget {SHORTEST_TRAINING:g} or more would train struct_noise2void.")
    seen.append("Taken: nlmeans.")
    return Choice("nlmeans", False, stabilise, tuple(seen))


def visible(noise: NoiseEstimate, volume: Volume) -> bool:
    """Whether it is more than rounding."""
    return noise.sigma > _ROUNDING * reference_intensity(volume.array[volume.valid])


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
