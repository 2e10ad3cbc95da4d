"""Embedded sample scans: procedural volumes whose clean truth is known exactly.

They are made from a seed in a few seconds, weigh nothing, and look like the thing in a
picture. They are for demonstration and tests, not for science: no claim about real scans
may rest on them.

    >>> from meddenoise.data.samples import sample, truth
    >>> noisy = sample("head-noisy", shape=(48, 48, 32))
    >>> clean = truth("head-noisy", shape=(48, 48, 32))
    >>> noisy.shape
    (48, 48, 32)
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from meddenoise.data.samples import abdomen, head
from meddenoise.data.samples.degrade import CT_DOSE, MR_NOISE_FRACTION, ct_low_dose, gaussian
from meddenoise.data.samples.fields import FloatArray, Grid
from meddenoise.errors import ParameterError
from meddenoise.volume import Volume

__all__ = ["SAMPLES", "sample", "truth"]

SAMPLES: dict[str, str] = {
    "head": "T1-weighted MR of a head, clean, arbitrary units",
    "head-noisy": "the same head with 10 % Gaussian noise",
    "abdomen": "CT of an abdomen, clean, HU",
    "abdomen-noisy": "the same abdomen at low dose: about 35 HU of noise in soft tissue",
}

_SMALLEST = 16  # voxels an axis: below that nothing is left to see
_NOISE_STREAM = 0x0153  # keeps the noise apart from the anatomy of the same seed


def sample(name: str, seed: int = 0, shape: tuple[int, int, int] | None = None) -> Volume:
    """An embedded sample scan.

    Args:
        name: one of :data:`SAMPLES`.
        seed: another seed is another subject: size, shape, folding, contrast, lesions.
        shape: voxels ``(X, Y, Z)``; the field of view stays, so fewer voxels are larger
            ones. By default 128x160x128 at 1.35 mm (head) or 160x128x96 at 2.2x2.2x3 mm
            (abdomen).

    Returns:
        A float32 volume, its origin in the middle; the same bits for the same arguments
        on the same machine.

    Raises:
        ParameterError: an unknown name, a negative seed or an impossible shape.
    """
    clean = _clean_volume(name, seed, shape)
    if not name.endswith("-noisy"):
        return clean
    rng = np.random.default_rng([seed, _NOISE_STREAM])
    if clean.modality == "CT":
        noisy = ct_low_dose(clean.array, CT_DOSE, rng)
        return clean.with_array(noisy, note=f"Simulated photon noise, dose fraction {CT_DOSE:g}")
    sigma = MR_NOISE_FRACTION * float(np.percentile(clean.array, 99.9))
    noisy = gaussian(clean.array, sigma, rng)
    return clean.with_array(noisy, note=f"Simulated Gaussian noise, sigma {sigma:.4g}")


def truth(name: str, seed: int = 0, shape: tuple[int, int, int] | None = None) -> Volume | None:
    """The clean scan behind a sample; a clean sample is its own truth.

    ``None`` would mean that no truth is known, which is so for no sample yet. Arguments
    and errors as for :func:`sample`.
    """
    return _clean_volume(name, seed, shape)


def _clean_volume(name: str, seed: int, shape: tuple[int, int, int] | None) -> Volume:
    if name not in SAMPLES:
        raise ParameterError(f"There is no sample {name!r}; there are: {', '.join(SAMPLES)}.")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ParameterError(f"A sample's seed is a whole number from 0 on, not {seed!r}.")
    anatomy = name.removesuffix("-noisy")
    if shape is None:
        shape = head.SHAPE if anatomy == "head" else abdomen.SHAPE
    if len(shape) != 3 or any(int(n) != n or n < _SMALLEST for n in shape):
        raise ParameterError(
            f"A sample's shape is three whole numbers of at least {_SMALLEST}, not {shape}."
        )
    x, y, z = (int(n) for n in shape)
    image, grid = _made(anatomy, int(seed), (x, y, z))
    modality, units = ("MR", "") if anatomy == "head" else ("CT", "HU")
    return Volume.from_array(image.copy(), affine=grid.affine, units=units, modality=modality)


@lru_cache(maxsize=2)
def _made(anatomy: str, seed: int, shape: tuple[int, int, int]) -> tuple[FloatArray, Grid]:
    """Kept, because a noisy sample and its truth are usually asked for together."""
    return head.head(seed, shape) if anatomy == "head" else abdomen.abdomen(seed, shape)
