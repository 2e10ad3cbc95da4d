"""Whether the noise of a scan is independent between voxels: its correlation along each axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddenoise.noise.finest_band import HIGH_PASS, NORMAL_MAD, WIDTH, high_passed
from meddenoise.noise.slope import slope

__all__ = ["LAGS", "LIMIT", "WHITE", "Correlation", "background_correlation", "tissue_correlation"]

LAGS = 3
"""How many neighbours along each axis are looked at."""

LIMIT = 0.15
"""Noise that is correlated more than that is called so. White noise in tissue gives up to 0.1 where
it is weak, because of what anatomy leaves; zero filling from 80 % of k-space gives 0.23."""

WHITE = 0.08
"""Noise that is correlated less than that is as good as white, unless it rings. Zero filling from
90 % of k-space gives 0.1; chance, and what anatomy leaves where noise is not weak, up to 0.07."""

# What is filled with zeros from a share p of k-space rings: its correlation is 1 - p with each of
# the next neighbours, and of alternating sign. The mean over them tells that from less: anatomy
# and chance leave 0.02 of it in white noise, and 95 % of k-space 0.05, which in the finest band is
# an eighth of sigma. Two standard errors of that mean in those of a coefficient, which are three.
_RINGING, _ERROR_RINGING = 0.03, 2 / 3 / math.sqrt(LAGS)

# Less than that of the variance along an axis is more of the anatomy than of the noise.
_LEAST_SEEN = 0.1

# Only where the picture is flattest, or edges would be taken for correlated noise: that share, but
# as many pairs as make chance smaller than 0.02.
_FLATTEST, _AT_LEAST = 0.1, 10_000
_FEWEST = 1000
# Three standard errors of a coefficient from n pairs: that over sqrt(n).
_ERROR_ROBUST, _ERROR = 9.0, 3.0


@dataclass(frozen=True)
class Correlation:
    """Correlation of the noise between a voxel and its neighbours.

    Attributes:
        coefficients: ``(axes, LAGS)`` nested tuples, each -1 to 1; not a number where the image is
            too small to tell.
        chances: per axis, what coefficients of white noise may be by chance; 0 if not given.
    """

    coefficients: tuple[tuple[float, ...], ...]
    chances: tuple[float, ...] = ()

    @property
    def nearest(self) -> tuple[float, ...]:
        """With the next voxel, per axis."""
        return tuple(axis[0] for axis in self.coefficients)

    @property
    def white(self) -> bool:
        """Whether no correlation is worth a correction; what is unknown counts as none."""
        return not any(self._coloured())

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes along which the noise is correlated."""
        return tuple(k for k, reach in enumerate(self.reach) if reach)

    @property
    def reach(self) -> tuple[int, ...]:
        """How many voxels far, per axis; 0 where it is independent."""
        return self._reach(LIMIT)

    def _reach(self, least: float) -> tuple[int, ...]:
        return tuple(
            max((lag for lag, c in enumerate(axis, 1) if abs(c) > limit), default=0)
            for axis, limit in zip(self.coefficients, self._limits(least), strict=True)
        )

    def _coloured(self) -> list[bool]:
        """Per axis, whether there is a correlation that is worth a correction."""
        limits = self._limits(0)
        return [
            bool(reach) or _ringing(axis) > max(_RINGING, _ERROR_RINGING * limit)
            for axis, reach, limit in zip(
                self.coefficients, self._reach(WHITE), limits, strict=True
            )
        ]

    def _limits(self, least: float) -> tuple[float, ...]:
        """Per axis, beyond what a correlation is neither negligible nor chance."""
        chances = self.chances or (0.0,) * len(self.coefficients)
        return tuple(max(least, chance) for chance in chances)

    def along(self, axis: int) -> tuple[float, ...]:
        """The coefficients of an axis; zeros where none is worth a correction."""
        coloured = self._coloured()[axis]
        return tuple(map(float, np.nan_to_num(self.coefficients[axis]) * coloured))

    def strongest(self, axis: int) -> str:
        """What decided of an axis, in words."""
        along = np.nan_to_num(self.coefficients[axis])
        if abs(along[0]) > LIMIT:
            return f"{along[0]:.2f} with the next voxel"
        lag = int(np.abs(along).argmax())
        return f"{along[lag]:.2f} with the voxel {lag + 1} further on"

    def near(self, other: Correlation) -> bool:
        """Whether both say the same of the next voxel along each axis that both tell of."""
        apart = np.abs(np.subtract(self.nearest, other.nearest))
        return bool((apart < self._limits(LIMIT))[np.isfinite(apart)].all())

    def filled(self, other: Correlation) -> Correlation:
        """This, and where it does not know, what the other says."""
        own, others = np.array(self.coefficients), np.array(other.coefficients)
        known = np.isfinite(own)
        chances = np.where(known.all(axis=1), self._limits(0), other._limits(0))
        return _correlation(np.where(known, own, others), chances)

    def response(self, axes: Sequence[int]) -> float:
        """How much of the noise's variance the finest band (db2) along those axes sees.

        1 for white noise. For the others by the filter's own autocorrelation, as if the noise's
        were a product of those along the axes; axes along which it is white are not counted.
        """
        filter_ = np.correlate(HIGH_PASS, HIGH_PASS, "full")[WIDTH : WIDTH + LAGS]
        seen = 1.0
        for axis in axes:
            seen *= max(1 + 2 * float(filter_ @ self.along(axis)), _LEAST_SEEN)
        return seen


def _ringing(coefficients: Sequence[float]) -> float:
    """How strong a correlation of alternating sign is, the next neighbour's being positive."""
    # One alone does not alternate, and those of a magnitude's background have lost their signs.
    if len(coefficients) < LAGS or not min(coefficients) < 0:
        return 0.0
    signs = [(-1) ** lag for lag in range(len(coefficients))]
    return sum(s * c for s, c in zip(signs, coefficients, strict=True)) / len(coefficients)


def tissue_correlation(array: NDArray[np.floating], mask: NDArray[np.bool_]) -> Correlation:
    """Correlation of the noise in tissue, from the scan alone.

    For an axis the scan is filtered along all *other* axes by the high-pass filter of the finest
    wavelet band: anatomy hardly gets through, and the noise's correlation along this axis stays
    as it was. It is then measured between neighbours u and v by the robust

        rho = (S(u + v)^2 - S(u - v)^2) / (S(u + v)^2 + S(u - v)^2)

    with S the median absolute value (Gnanadesikan and Kettenring, Biometrics 28:81, 1972), where
    the picture is flattest. For white noise it is 0 whatever the filter.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``; non-finite voxels do not count.
        mask: bool, the same shape: the tissue.
    """
    from scipy.ndimage import gaussian_filter

    known = mask & np.isfinite(array)
    values = np.where(known, array, np.nan).astype(np.float32)
    steep = slope(gaussian_filter(np.where(known, array, 0).astype(np.float32), 1.0))
    found = np.full((array.ndim, LAGS), np.nan)
    pairs = np.zeros((array.ndim, LAGS))
    for axis in range(array.ndim):
        filtered, flat = values, steep
        for other, length in enumerate(array.shape):
            if other != axis and length >= 3 * WIDTH:
                filtered, flat = high_passed(filtered, other), _middle(flat, other)
        filtered, flat = np.ascontiguousarray(filtered), np.ascontiguousarray(flat)
        finite = np.isfinite(filtered)
        for lag in range(1, LAGS + 1):
            found[axis, lag - 1], pairs[axis, lag - 1] = _robust(filtered, finite, flat, axis, lag)
    return _correlation(found, _ERROR_ROBUST / np.sqrt(_fewest(pairs)))


def background_correlation(
    array: NDArray[np.floating], mask: NDArray[np.bool_], *, magnitude: bool
) -> Correlation:
    """Correlation of the noise where there is nothing else.

    The correlation of a magnitude without signal is nearly the square of that of its real and
    imaginary channels (0.915 rho^2 + 0.057 rho^4 + ..., the envelope of a complex normal process);
    given is theirs, and as its sign is lost, its absolute value.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite where ``mask`` is.
        mask: bool, the same shape: the voxels without signal.
        magnitude: the noise is Rayleigh, or chi of several coils, for which the square is as near.
    """
    known = array[mask].astype(np.float64)
    mean, variance = float(known.mean()), float(known.var())
    del known
    centred = np.zeros(array.shape)
    np.subtract(array, mean, out=centred, where=mask, dtype=np.float64)
    found = np.full((array.ndim, LAGS), np.nan)
    pairs = np.zeros((array.ndim, LAGS))
    for axis in range(array.ndim):
        for lag in range(1, LAGS + 1):
            (u, v), (in_u, in_v) = _pair(centred, axis, lag), _pair(mask, axis, lag)
            both = int(np.count_nonzero(in_u & in_v))
            if both >= _FEWEST:
                pairs[axis, lag - 1] = both
                # Plane by plane: another array as large as the scan is not needed.
                total = sum(float((a * b).sum()) for a, b in zip(u, v, strict=True))
                found[axis, lag - 1] = total / both / variance
    chances = _ERROR / np.sqrt(_fewest(pairs))
    if magnitude:
        return _correlation(np.sqrt(np.maximum(found, 0)), np.sqrt(chances))
    return _correlation(found, chances)


def _correlation(coefficients: NDArray[np.float64], chances: NDArray[np.float64]) -> Correlation:
    rows = tuple(tuple(map(float, axis)) for axis in coefficients)
    return Correlation(rows, tuple(map(float, chances)))


def _fewest(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each axis, for the lags that there are pairs for; 1 if for none."""
    least = np.where(pairs > 0, pairs, np.inf).min(axis=1)
    return np.where(np.isfinite(least), least, 1.0)


def _robust(
    values: NDArray[np.float32],
    finite: NDArray[np.bool_],
    steep: NDArray[np.float32],
    axis: int,
    lag: int,
) -> tuple[float, int]:
    """Of the pairs whose steeper one is flattest, and how many they are."""
    if values.shape[axis] <= lag:
        return float("nan"), 0
    first = np.zeros(values.shape, dtype=bool)
    before = (slice(None),) * axis
    part = (*before, slice(None, -lag))
    first[part] = finite[part] & finite[(*before, slice(lag, None))]
    here = np.flatnonzero(first)
    if here.size < _FEWEST:
        return float("nan"), 0
    there = lag * math.prod(values.shape[axis + 1 :])
    if here.size > _AT_LEAST:
        steepest = np.maximum(steep.take(here), steep.take(here + there))
        count = round(max(_FLATTEST * here.size, _AT_LEAST))
        here = here[np.argpartition(steepest, count - 1)[:count]]
    u, v = values.take(here), values.take(here + there)
    total = float(np.median(np.abs(u + v)) / NORMAL_MAD) ** 2
    difference = float(np.median(np.abs(u - v)) / NORMAL_MAD) ** 2
    if total + difference == 0:
        return float("nan"), 0
    return (total - difference) / (total + difference), u.size


def _pair(values: NDArray, axis: int, lag: int) -> tuple[NDArray, NDArray]:
    """Every voxel that has one, and its neighbour."""
    moved = np.moveaxis(values, axis, 0)
    return moved[: len(moved) - lag], moved[lag:]


def _middle(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """The voxels in the middle of the filter's supports."""
    moved = np.moveaxis(values, axis, 0)
    return np.moveaxis(moved[1 : len(moved) - (WIDTH - 2)], 0, axis)
