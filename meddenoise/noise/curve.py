"""How strong noise is at each intensity of a scan: photon noise grows with attenuation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.noise.finest_band import HIGH_PASS, NORMAL_MAD, WIDTH, band, sampled_parts, telling

__all__ = ["Guided", "NoiseCurve", "estimate_curve"]

_BINS = 40
# Below that many coefficients a bin's median is worth little.
_FEWEST_IN_BIN = 10_000
_FEWEST = 32
# Relative standard error of a median over n undecimated coefficients: that over sqrt(n). Of
# independent ones it were 1.17.
_ERROR = 1.4
# In each bin only the flattest part of the picture is asked, for edges are no noise; but as many
# coefficients as give sigma to 2 %.
_FLATTEST, _LEAST = 0.3, 6000


@dataclass(frozen=True)
class NoiseCurve:
    """Standard deviation of the noise as a function of the clean intensity.

    Attributes:
        intensities: ascending, in image units.
        sigmas: at those intensities, in image units; linear between, constant beyond.
        chance: relative standard error of each sigma.
    """

    intensities: tuple[float, ...]
    sigmas: tuple[float, ...]
    chance: float = 0.0

    def __call__(self, intensity: NDArray[np.floating]) -> NDArray[np.float32]:
        """Sigma at each intensity: the same shape, float32, image units."""
        sigma = np.interp(intensity, self.intensities, self.sigmas)
        return np.asarray(sigma, dtype=np.float32)


def estimate_curve(
    array: NDArray[np.floating],
    guide: NDArray[np.floating],
    *,
    mask: NDArray[np.bool_] | None = None,
    high_pass: NDArray[np.float64] = HIGH_PASS,
) -> NoiseCurve:
    """The noise of a scan at each intensity, by the wavelet MAD estimate in bins.

    As :func:`meddenoise.noise.estimate_sigma`, but the coefficients are sorted by the ``guide``'s
    intensity into bins of equal counts, and of each bin only the 30 % where the guide is
    flattest are taken. Like that estimate it assumes noise independent between voxels.

    Args:
        array: the noisy scan, ``(X, Y)`` or ``(X, Y, Z)``.
        guide: an estimate of the clean scan, the same shape and unit.
        mask: bool, the same shape; only coefficients whose support lies within count.
        high_pass: the filter of the band, see :mod:`meddenoise.noise.finest_band`.

    Raises:
        ParameterError: shapes that differ, or too little image to say anything.
    """
    return Guided(array, guide, mask=mask).curve(high_pass)


class Guided:
    """A scan and its guide, looked at once for the curves of several bands.

    Args and errors are those of :func:`estimate_curve`.
    """

    def __init__(
        self,
        array: NDArray[np.floating],
        guide: NDArray[np.floating],
        *,
        mask: NDArray[np.bool_] | None = None,
    ) -> None:
        if guide.shape != array.shape or (mask is not None and mask.shape != array.shape):
            raise ParameterError("A scan, its guide and its mask have one shape.")
        self._axes = [axis for axis, length in enumerate(array.shape) if length >= WIDTH]
        if array.ndim not in (2, 3) or len(self._axes) < 2:
            raise ParameterError(
                f"An image of shape {array.shape} is too small to estimate its noise: it needs at "
                "least 4 voxels along two axes."
            )
        usable = np.isfinite(array) & np.isfinite(guide)
        if mask is not None:
            usable &= mask
        parts = sampled_parts(array.shape, self._axes[0])
        self._parts = [(array[part], usable[part]) for part in parts]
        self._counts = [telling(*part, self._axes) for part in self._parts]
        around = [
            [value[counts] for value in _surroundings(guide[part], usable[part], self._axes)]
            for part, counts in zip(parts, self._counts, strict=True)
        ]
        places, slopes = (np.concatenate(values) for values in zip(*around, strict=True))
        if places.size < _FEWEST:
            raise ParameterError(
                "There is too little image to estimate noise from: fewer than 32 places with 4 "
                "valid voxels along each axis that are not flat background."
            )
        order = np.argsort(places)
        self._bins = []
        for chosen in np.array_split(order, int(np.clip(order.size // _FEWEST_IN_BIN, 1, _BINS))):
            # A share, not a threshold: of equal slopes (a guide without any) all are as good.
            count = max(1, round(_FLATTEST * chosen.size), min(chosen.size, _LEAST))
            flattest = chosen[np.argpartition(slopes[chosen], count - 1)[:count]]
            self._bins.append((float(np.median(places[flattest])), flattest))

    def curve(self, high_pass: NDArray[np.float64] = HIGH_PASS) -> NoiseCurve:
        """See :func:`estimate_curve`."""
        dtype = np.result_type(self._parts[0][0], np.float32)
        sizes = np.concatenate(
            [
                np.abs(band(*part, self._axes, high_pass, dtype=dtype)[counts])
                for part, counts in zip(self._parts, self._counts, strict=True)
            ]
        )
        sigmas = (float(np.median(sizes[flattest])) / NORMAL_MAD for _, flattest in self._bins)
        fewest = len(self._bins[-1][1])
        intensities = tuple(place for place, _ in self._bins)
        return NoiseCurve(intensities, tuple(sigmas), _ERROR / fewest**0.5)


def _surroundings(
    guide: NDArray[np.floating], usable: NDArray[np.bool_], axes: list[int]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The guide's intensity and its slope in the middle of each coefficient's support."""
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    middle = tuple(
        slice(1, n - (WIDTH - 2)) if axis in axes else slice(None)
        for axis, n in enumerate(guide.shape)
    )
    known = np.where(usable, guide, 0).astype(np.result_type(guide, np.float32))
    widths = [1.0 if axis in axes else 0.0 for axis in range(guide.ndim)]
    place = gaussian_filter(known, widths)[middle]
    slope = gaussian_gradient_magnitude(known, 1.0)[middle]
    return place, slope
