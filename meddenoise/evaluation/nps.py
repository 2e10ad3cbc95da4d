"""The noise power spectrum: how strong noise is at each spatial frequency."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import (
    as_floats,
    check_spacing,
    checked_mask,
    image_values,
    slices_of,
)

__all__ = ["NoisePowerSpectrum", "noise_power_spectrum"]

_SIDE = 32
_LEAST = 8
# Beyond that many regions the spectrum hardly changes.
_ENOUGH = 2000
# Of the largest value: less is no noise.
_ROUNDING = 1e-9

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NoisePowerSpectrum:
    """A radial noise power spectrum.

    Attributes:
        frequencies: centre of each ring in cycles per mm, from 0.
        power: mean over each ring, in squared image units times mm^2 (mm^3 in 3-D).
        variance: the integral over all frequencies, which is the variance of the detrended noise,
            in squared image units.
        peak: frequency of the highest ring but that at 0, in cycles per mm.
        mean: the frequency that halves of the power weigh, ``int f NPS / int NPS`` over all
            coefficients, in cycles per mm.
        regions: how many were averaged.
        side: of a region, in voxels.
        dims: 2 or 3.
    """

    frequencies: tuple[float, ...]
    power: tuple[float, ...]
    variance: float
    peak: float
    mean: float
    regions: int
    side: int
    dims: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with their units."""
        return {
            "frequencies_per_mm": list(self.frequencies),
            "power": list(self.power),
            "variance": self.variance,
            "peak_per_mm": self.peak,
            "mean_per_mm": self.mean,
            "regions": self.regions,
            "side": self.side,
            "dims": self.dims,
        }


def noise_power_spectrum(
    noise: ArrayLike,
    *,
    spacing: Sequence[float] | None = None,
    mask: NDArray[np.bool_] | None = None,
    side: int = _SIDE,
    dims: int = 2,
) -> NoisePowerSpectrum:
    """``NPS = (dx dy / Nx Ny) <|FFT(region - fitted parabola)|^2>``, radially averaged.

    By ICRU report 87 and Samei et al., Med Phys 46:e735, 2019 (AAPM TG-233). Regions overlap by
    half and lie wholly in the mask; from each a polynomial of second order is taken away, and with
    it nearly all power of the lowest ring.

    Args:
        noise: an image of noise alone (image minus reference, two repeats subtracted and divided
            by sqrt(2)), or one whose mask holds nothing but uniform material; ``(X, Y)`` or
            ``(X, Y, Z)``, image units.
        spacing: voxel size in mm per axis; 1 mm by default.
        mask: bool, the same shape.
        side: of a region in voxels; less if the image is smaller.
        dims: 2 for regions within slices across the coarsest axis, which is the custom in CT; 3
            for cubes.

    Raises:
        ParameterError: an image of other than 2 or 3 axes, no region of at least 8 voxels a side
            within the mask, or no noise at all.
    """
    values = as_floats(image_values(noise))
    if values.ndim not in (2, 3) or not 2 <= dims <= values.ndim:
        raise ParameterError(
            f"A noise power spectrum in {dims}-D cannot be had of an image of shape {values.shape}."
        )
    inside = checked_mask(mask, values.shape) & np.isfinite(values)
    sizes = check_spacing(spacing, values.ndim)
    if values.ndim == 3 and dims == 2:
        across = 2 - int(np.argmax(sizes[::-1]))
        values, inside = slices_of(values, sizes), slices_of(inside, sizes)
        sizes = tuple(s for axis, s in enumerate(sizes) if axis != across)
    else:
        values, inside = values[None], inside[None]
    side = min(side, *values.shape[1:])
    regions = list(_regions(inside, side)) if side >= _LEAST else []
    if not regions:
        raise ParameterError(
            f"There is no region of {max(side, _LEAST)} voxels a side within the mask: no noise "
            "power spectrum."
        )
    if len(regions) > _ENOUGH:
        regions = [regions[int(k)] for k in np.linspace(0, len(regions) - 1, _ENOUGH)]
    parabolas = _parabolas(side, dims)
    power = np.zeros((side,) * dims)
    for region in regions:
        patch = values[region].astype(np.float64).ravel()
        patch = patch - parabolas @ (parabolas.T @ patch)
        power += np.abs(np.fft.fftn(patch.reshape(power.shape))) ** 2
    power *= float(np.prod(sizes)) / side**dims / len(regions)
    each = zip(values, inside, strict=True)
    largest = max(float(np.abs(one[here]).max(initial=0)) for one, here in each)
    if power.sum() <= (_ROUNDING * largest) ** 2 * float(np.prod(sizes)) * side**dims:
        raise ParameterError("There is no noise within the mask: no noise power spectrum.")
    return _radial(power, sizes, len(regions))


def _regions(inside: NDArray[np.bool_], side: int) -> Iterator[tuple[int | slice, ...]]:
    """Where the regions lie: slice, then half overlapping along each axis."""
    starts = [range(0, length - side + 1, max(side // 2, 1)) for length in inside.shape[1:]]
    for number, here in enumerate(inside):
        for corner in itertools.product(*starts):
            place = tuple(slice(c, c + side) for c in corner)
            if here[place].all():
                yield (number, *place)


def _parabolas(side: int, dims: int) -> Array:
    """An orthonormal basis of the polynomials up to second order over a region."""
    axis = np.linspace(-1, 1, side)
    grid = np.meshgrid(*[axis] * dims, indexing="ij")
    terms = [np.ones((side,) * dims), *grid]
    terms += [a * b for a, b in itertools.combinations_with_replacement(grid, 2)]
    basis, _ = np.linalg.qr(np.stack([term.ravel() for term in terms], axis=1))
    return np.asarray(basis)


def _radial(power: Array, sizes: Sequence[float], regions: int) -> NoisePowerSpectrum:
    """Rings as wide as the finest step of the frequencies."""
    side, dims = power.shape[0], power.ndim
    along = [np.fft.fftfreq(side, size) for size in sizes]
    radius = np.sqrt(sum(f**2 for f in np.meshgrid(*along, indexing="ij")))
    step = 1 / (side * max(sizes))
    variance = float(power.sum()) / float(np.prod(sizes)) / side**dims
    ring = np.rint(radius / step).astype(np.int64)
    # Beyond the shortest axis's Nyquist frequency rings have only corners.
    seen = ring <= round(0.5 / min(sizes) / step)
    count = np.bincount(ring[seen])
    rings = np.bincount(ring[seen], power[seen]) / np.maximum(count, 1)
    centres = np.bincount(ring[seen], radius[seen]) / np.maximum(count, 1)
    kept = count > 0
    rings, centres = rings[kept], centres[kept]
    peak = 1 + int(np.argmax(rings[1:]))
    return NoisePowerSpectrum(
        tuple(map(float, centres)),
        tuple(map(float, rings)),
        variance,
        float(centres[peak]),
        float((radius * power).sum() / power.sum()),
        regions,
        side,
        dims,
    )
