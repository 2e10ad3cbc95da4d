"""The sampling grid of a sample and smooth random fields on it.

Everything here is laid out in millimetres, not in voxels: the same seed gives the same
subject at any resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["FloatArray", "Grid", "Lattice", "smooth_noise"]

FloatArray = NDArray[np.floating]

# A cubic B-spline spreads white noise of unit variance to this variance per axis on average.
_SPLINE_VARIANCE = 151 / 315


@dataclass(frozen=True)
class Grid:
    """Voxel centres of a volume that fills ``extent`` (mm) and is centred on the origin."""

    shape: tuple[int, int, int]
    extent: tuple[float, float, float]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm."""
        x, y, z = (length / n for length, n in zip(self.extent, self.shape, strict=True))
        return x, y, z

    @property
    def axes(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Voxel centres in mm along each axis, shaped to broadcast to the volume."""
        x, y, z = (
            ((np.arange(n) - (n - 1) / 2) * step).astype(np.float32)
            for n, step in zip(self.shape, self.spacing, strict=True)
        )
        return x[:, None, None], y[None, :, None], z[None, None, :]

    @property
    def affine(self) -> NDArray[np.float64]:
        """``(4, 4)``: voxel index to RAS+ mm, the origin in the middle of the volume."""
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = [
            -(n - 1) / 2 * step for n, step in zip(self.shape, self.spacing, strict=True)
        ]
        return affine


def smooth_noise(rng: np.random.Generator, grid: Grid, knot: float) -> FloatArray:
    """A Gaussian random field of mean 0 and standard deviation about 1.

    White noise on a lattice of ``knot`` mm, smoothed by a cubic B-spline; features are
    about twice the knot distance in size.
    """
    counts = [int(np.ceil(length / knot)) + 4 for length in grid.extent]
    field = rng.standard_normal(counts, dtype=np.float32)
    for axis, coordinates in zip(range(3), grid.axes, strict=True):
        start = -grid.extent[axis] / 2
        weights = _spline_matrix((coordinates.ravel() - start) / knot + 1, counts[axis])
        # tensordot puts the new axis last: after three turns the order is x, y, z again.
        field = np.tensordot(field, weights, axes=(0, 1))
    return (field / _SPLINE_VARIANCE**1.5).astype(np.float32, copy=False)


def _spline_matrix(positions: NDArray[np.floating], count: int) -> FloatArray:
    """``(len(positions), count)`` weights of the cubic B-spline at each knot."""
    t = np.abs(positions[:, None] - np.arange(count)[None, :])
    near = 2 / 3 - t**2 + t**3 / 2
    far = np.clip(2 - t, 0, None) ** 3 / 6
    return np.where(t < 1, near, far).astype(np.float32)


class Lattice:
    """Band-pass noise of one wavelength (mm) that can be read at any position.

    Its zero level is a labyrinth of sheets half a wavelength apart.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        extent: Sequence[float],
        wavelength: float,
        bandwidth: float = 0.25,
    ) -> None:
        self.wavelength = wavelength
        self._step = wavelength / 6
        counts = [int(np.ceil(length / self._step)) + 8 for length in extent]
        self._half = np.array([(n - 1) / 2 for n in counts])
        spectrum = np.fft.rfftn(rng.standard_normal(counts))
        frequencies = [np.fft.fftfreq(n, self._step) for n in counts[:2]]
        frequencies.append(np.fft.rfftfreq(counts[2], self._step))
        fx, fy, fz = np.meshgrid(*frequencies, indexing="ij", sparse=True)
        relative = np.sqrt(fx**2 + fy**2 + fz**2) * wavelength
        spectrum *= np.exp(-(((relative - 1) / bandwidth) ** 2))
        field = np.fft.irfftn(spectrum, counts, axes=(0, 1, 2))
        field /= field.std()
        self._coefficients = ndimage.spline_filter(field, order=3, output=np.float32)

    def at(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """The noise at positions in mm from the lattice's centre, the shape of ``x``."""
        index = [p / self._step + half for p, half in zip((x, y, z), self._half, strict=True)]
        values = ndimage.map_coordinates(
            self._coefficients, np.stack(index), order=3, prefilter=False, mode="nearest"
        )
        return np.asarray(values, dtype=np.float32)
