"""Whether the noise of a scan is independent between voxels: its correlation along each axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddenoise.noise.finest_band import HIGH_PASS, NORMAL_MAD, WIDTH

__all__ = ["LAGS", "LIMIT", "Correlation", "background_correlation", "tissue_correlation"]

LAGS = 3
"""How many neighbours along each axis are looked at."""

LIMIT = 0.15
"""Noise that is correlated more than that is called so. White noise in tissue gives up to 0.1 where
it is weak, because of what anatomy leaves; zero filling from 80 % of k-space gives 0.23."""

# Less than that of the variance along an axis is more of the anatomy than of the noise.
_LEAST_SEEN = 0.1

# Only where the picture is flattest, or edges would be taken for correlated noise: that share, but
# as many voxels as make chance smaller than 0.03.
_FLATTEST, _AT_LEAST = 0.1, 5000
_FEWEST = 500


@dataclass(frozen=True)
class Correlation:
    """Correlation of the noise between a voxel and its neighbours.

    Attributes:
        coefficients: ``(axes, LAGS)`` nested tuples, each -1 to 1; not a number where the image is
            too small to tell.
    """

    coefficients: tuple[tuple[float, ...], ...]

    @property
    def nearest(self) -> tuple[float, ...]:
        """With the next voxel, per axis."""
        return tuple(axis[0] for axis in self.coefficients)

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes along which the noise is correlated."""
        return tuple(k for k, reach in enumerate(self.reach) if reach)

    @property
    def reach(self) -> tuple[int, ...]:
        """How many voxels far, per axis; 0 where it is independent."""
        return tuple(
            max((lag for lag, c in enumerate(axis, 1) if abs(c) > LIMIT), default=0)
            for axis in self.coefficients
        )

    def near(self, other: Correlation) -> bool:
        """Whether both say the same of the next voxel along each axis that both tell of."""
        apart = np.abs(np.subtract(self.nearest, other.nearest))
        return bool((apart[np.isfinite(apart)] < LIMIT).all())

    def response(self, axes: Sequence[int]) -> float:
        """How much of the noise's variance the finest band along those axes sees.

        1 for white noise. For the others by the filter's own autocorrelation, as if the noise's
        were a product of those along the axes; only axes called correlated are counted.
        """
        filter_ = np.correlate(HIGH_PASS, HIGH_PASS, "full")[WIDTH : WIDTH + LAGS]
        seen = 1.0
        for axis in set(axes) & set(self.axes):
            seen *= max(1 + 2 * float(np.dot(filter_, self.coefficients[axis])), _LEAST_SEEN)
        return seen


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
    from scipy.ndimage import gaussian_gradient_magnitude

    known = mask & np.isfinite(array)
    values = np.where(known, array, np.nan).astype(np.float32)
    slope = gaussian_gradient_magnitude(np.where(known, array, 0).astype(np.float32), 1.0)
    found = []
    for axis in range(array.ndim):
        filtered, flat = values, slope
        for other, length in enumerate(array.shape):
            if other != axis and length >= 3 * WIDTH:
                filtered, flat = _high_pass(filtered, other), _middle(flat, other)
        told = np.isfinite(filtered)
        places = int(np.count_nonzero(told))
        if places > _AT_LEAST:
            told &= flat <= np.quantile(flat[told], max(_FLATTEST, _AT_LEAST / places))
        found.append(tuple(_robust(filtered, told, axis, lag) for lag in range(1, LAGS + 1)))
    return Correlation(tuple(found))


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
        magnitude: the noise is Rayleigh.
    """
    values = np.where(mask, array, 0).astype(np.float64)
    centred = np.where(mask, values - values[mask].mean(), 0)
    variance = float(np.square(centred[mask]).mean())
    found = []
    for axis in range(array.ndim):
        row = []
        for lag in range(1, LAGS + 1):
            (u, v), (in_u, in_v) = _pair(centred, axis, lag), _pair(mask, axis, lag)
            both = int(np.count_nonzero(in_u & in_v))
            rho = float((u * v).sum()) / both / variance if both >= _FEWEST else float("nan")
            row.append(float(np.sqrt(max(rho, 0.0))) if magnitude else rho)
        found.append(tuple(row))
    return Correlation(tuple(found))


def _robust(values: NDArray[np.float32], told: NDArray[np.bool_], axis: int, lag: int) -> float:
    if values.shape[axis] <= lag:
        return float("nan")
    (u, v), (in_u, in_v) = _pair(values, axis, lag), _pair(told, axis, lag)
    both = in_u & in_v
    if np.count_nonzero(both) < _FEWEST:
        return float("nan")
    u, v = u[both], v[both]
    total = float(np.median(np.abs(u + v)) / NORMAL_MAD) ** 2
    difference = float(np.median(np.abs(u - v)) / NORMAL_MAD) ** 2
    if total + difference == 0:
        return float("nan")
    return (total - difference) / (total + difference)


def _pair(values: NDArray, axis: int, lag: int) -> tuple[NDArray, NDArray]:
    """Every voxel that has one, and its neighbour."""
    moved = np.moveaxis(values, axis, 0)
    return moved[: len(moved) - lag], moved[lag:]


def _high_pass(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    moved = np.moveaxis(values, axis, 0)
    length = len(moved) - WIDTH + 1
    total = sum(np.float32(HIGH_PASS[k]) * moved[k : k + length] for k in range(WIDTH))
    return np.moveaxis(np.asarray(total), 0, axis)


def _middle(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """The voxels in the middle of the filter's supports."""
    moved = np.moveaxis(values, axis, 0)
    return np.moveaxis(moved[1 : len(moved) - (WIDTH - 2)], 0, axis)
