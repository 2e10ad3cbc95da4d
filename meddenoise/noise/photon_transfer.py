"""Gain of a detector that counts: the line of variance against mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meddenoise.errors import ParameterError
from meddenoise.noise.curve import NoiseCurve

__all__ = ["PhotonTransfer", "photon_transfer"]

# Variance that does not change by that factor over the image is as good as constant.
_GROWTH = 1.5
# How far the variances may lie from the line, in the middle.
_SCATTER = 0.25


@dataclass(frozen=True)
class PhotonTransfer:
    """``Var[y] = gain E[y] + variance``.

    Attributes:
        gain: image units per photon.
        variance: where E[y] = 0, in image units squared. It is ``sigma^2 - gain * offset`` of
            :func:`meddenoise.noise.poisson_gaussian`: the two cannot be told apart by one scan.
        counting: the variance grows with the mean, and by a line; otherwise the noise is not, or
            not only, that of counted photons.
    """

    gain: float
    variance: float
    counting: bool

    def sigma(self, mean: float) -> float:
        """Standard deviation of the noise at that mean, in image units."""
        return float(np.sqrt(max(self.gain * mean + self.variance, 0.0)))


def photon_transfer(curve: NoiseCurve) -> PhotonTransfer:
    """Gain and offset from the noise at each intensity, by a robust line.

    The slope is the median of those between all pairs of points (Theil, 1950; Sen, J Am Stat
    Assoc 63:1379, 1968), the intercept the median of what is left: tissue with a texture of its
    own does not tilt it.

    Args:
        curve: as :func:`meddenoise.noise.curve.estimate_curve` gives.

    Raises:
        ParameterError: fewer than three intensities.
    """
    means, variances = np.array(curve.intensities), np.square(curve.sigmas)
    if means.size < 3:
        raise ParameterError(
            "A line of noise against intensity needs three intensities: the image is too small."
        )
    first, second = np.triu_indices(means.size, 1)
    apart = means[second] - means[first]
    told = apart > 0
    if not told.any():
        return PhotonTransfer(0.0, float(np.median(variances)), False)
    gain = float(np.median((variances[second] - variances[first])[told] / apart[told]))
    variance = float(np.median(variances - gain * means))
    line = gain * means + variance
    fits = (
        gain > 0
        and line.min() > 0
        and line.max() > _GROWTH * line.min()
        and float(np.median(np.abs(variances / line - 1))) < _SCATTER
    )
    return PhotonTransfer(gain, variance, bool(fits))
