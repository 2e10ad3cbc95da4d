"""Sigma of a 4-D scan by random matrix theory: no image model, only that volumes repeat."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.noise.moments import koay_inversion

__all__ = ["FEWEST_VOLUMES", "distinct_volumes", "marchenko_pastur_sigma", "mppca_sigma"]

FEWEST_VOLUMES = 6
"""With fewer there is hardly an eigenvalue that is noise only."""

_WINDOWS = 2000
_FEWEST = 10
# Of the eigenvalues: where more than that share is 0, no noise is there.
_NULL = 0.25


def mppca_sigma(
    array: NDArray[np.floating],
    *,
    mask: NDArray[np.bool_] | None = None,
    magnitude: bool = False,
    coils: int = 1,
) -> float:
    """Standard deviation of the noise of a 4-D scan.

    In a small window the volumes (directions, time points) are nearly the same few signals plus
    noise: the small eigenvalues of their covariance follow the Marchenko-Pastur law, whose width
    gives sigma (Veraart et al., NeuroImage 142:394, 2016). The median over windows spread evenly
    over the tissue. It assumes noise that is independent between voxels and volumes: volumes that
    are constant in a window, or copies of others, do not count there.

    Args:
        array: ``(C, X, Y, Z)``, at least 6 volumes, any unit.
        mask: bool, ``(X, Y, Z)``; only windows wholly within, and finite, count.
        magnitude: correct each window for the Rician (noncentral chi) distribution by its mean.
        coils: whose sum of squares the magnitude is.

    Returns:
        sigma in image units.

    Raises:
        ParameterError: fewer volumes, no 4-D array, or too little of the image to look at (the
            whole of one that is 6 volumes by copies only).
    """
    if array.ndim != 4 or len(array) < FEWEST_VOLUMES:
        raise ParameterError(
            f"MP-PCA compares at least {FEWEST_VOLUMES} volumes of a 4-D scan, and this has shape "
            f"{array.shape} (volumes first)."
        )
    known = np.isfinite(array).all(axis=0)
    if mask is not None:
        known &= mask
    sigmas, means = [], []
    for window in _windows(known, len(array)):
        voxels = _noisy(array[(slice(None), *window)].reshape(len(array), -1).astype(np.float64))
        if len(voxels) < FEWEST_VOLUMES:
            continue
        sigmas.append(marchenko_pastur_sigma(voxels))
        means.append(voxels.mean())
    if len(sigmas) < _FEWEST:
        raise ParameterError(
            "There is too little image for MP-PCA: fewer than 10 windows of valid voxels in 6 "
            "volumes that differ."
        )
    found = np.array(sigmas)
    if magnitude and (found > 0).all():
        _, found = koay_inversion(np.array(means), found, coils)
    return float(np.median(found))


def marchenko_pastur_sigma(matrix: NDArray[np.float64]) -> float:
    """Sigma of the noise in a matrix of few signals plus independent noise.

    With r rows and c >= r columns, and eigenvalues l of ``X X^T / c`` in descending order: for the
    smallest p for which

        (l[p] - l[r-1]) / (4 sqrt((r-p) (c-p)) / c)  <  sum(l[p:]) / ((r-p) (c-p) / c)

    the right-hand side is sigma^2 (Veraart et al. 2016, eq. 10 to 12, with the p columns counted
    that the signals take).

    Eigenvalues of 0 (a row that is 0, one that follows from others) are left out, and r is less by
    their number: no noise is as small. If they are more than a quarter, sigma is 0.

    Args:
        matrix: ``(rows, columns)``, either may be longer.
    """
    rows, columns = sorted(matrix.shape)
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    values = np.maximum(np.linalg.eigvalsh(x @ x.T / columns)[::-1], 0)
    known = int(np.count_nonzero(values > rows * np.finfo(np.float64).eps * values[0]))
    if known < (1 - _NULL) * rows:
        return 0.0
    rows, values = known, values[:known]
    p = np.arange(rows)
    by_mean = np.cumsum(values[::-1])[::-1] / ((rows - p) * (columns - p) / columns)
    by_width = (values - values[-1]) / (4 * np.sqrt((rows - p) * (columns - p)) / columns)
    return float(np.sqrt(by_mean[np.argmax(by_width < by_mean)]))


def distinct_volumes(array: NDArray[np.floating]) -> list[list[int]]:
    """The volumes that are not blank, each with its exact copies.

    Args:
        array: ``(C, ...)``, finite.

    Returns:
        Of each its number and those of its copies, in order.
    """
    found: dict[bytes, list[int]] = {}
    for number, volume in enumerate(array):
        if np.ptp(volume) > 0:
            told = hashlib.blake2b(np.ascontiguousarray(volume).data).digest()
            found.setdefault(told, []).append(number)
    return list(found.values())


def _noisy(voxels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows with noise of their own: not constant, and each that is repeated once."""
    different = {row.tobytes(): row for row in voxels[np.ptp(voxels, axis=1) > 0]}
    return np.array(list(different.values())).reshape(len(different), -1)


def _windows(known: NDArray[np.bool_], volumes: int) -> list[tuple[slice, ...]]:
    """Up to 2000 disjoint cubes with at least as many voxels as there are volumes."""
    edge = 5
    while edge**3 < volumes:
        edge += 2
    edges = [min(edge, n) for n in known.shape]
    corners = itertools.product(
        *(range(0, n - e + 1, e) for n, e in zip(known.shape, edges, strict=True))
    )
    windows = [
        tuple(slice(c, c + e) for c, e in zip(corner, edges, strict=True)) for corner in corners
    ]
    inside = [window for window in windows if known[window].all()]
    return inside[:: max(1, len(inside) // _WINDOWS)]
