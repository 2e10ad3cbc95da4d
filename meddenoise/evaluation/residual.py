"""Whether anatomy went with the noise: structure in what a denoiser took away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import as_floats, checked_mask, image_values
from meddenoise.noise.slope import slope

__all__ = ["LIMIT", "ResidualTest", "residual_structure"]

LIMIT = 1.5
"""A ratio beyond which anatomy is in the residual; see ``benchmarks/pretrained.py``."""

# Voxels, a deviation of a Gaussian: over which the residual is averaged and edges are looked for.
_SCALE = 1.0
# What counts as edges and as flat, by the strength of the gradient of the denoised image.
_EDGES, _FLAT = 0.9, 0.5
_FEWEST = 500
# Where the residual's power over so many voxels is less than that share of what it is where it is
# strong, there was no noise to take away: air that a scanner has smoothed or masked.
_WINDOW, _SILENT, _STRONG = 5, 0.01, 0.9
# And where no more than that share of them was changed.
_MOSTLY = 0.5


@dataclass(frozen=True)
class ResidualTest:
    """What the residual of a scan says.

    Attributes:
        ratio: power of the locally averaged residual at the strongest edges, by that where the
            image is flat: 1 for noise alone, more where edges are in it, less where noise was left
            at edges.
        voxels: at edges.
    """

    ratio: float
    voxels: int

    @property
    def structured(self) -> bool:
        """Whether the ratio is beyond :data:`LIMIT`."""
        return self.ratio > LIMIT


def residual_structure(
    noisy: NDArray[np.floating],
    denoised: NDArray[np.floating],
    *,
    sigma: NDArray[np.floating] | float = 1.0,
    mask: NDArray[np.bool_] | None = None,
) -> ResidualTest:
    """Compares the residual at edges with that where there are none.

    Noise does not know of edges; what a denoiser takes of the anatomy lies at them, and is alike
    among neighbours as white noise is not. So both are averaged over neighbours first. It sees
    blurred edges and lost detail at edges; not that of a faint lesion in flat surroundings.

    Args:
        noisy: ``(X, Y)`` or ``(X, Y, Z)``, with noise of the same strength everywhere but for
            ``sigma``. Magnitude images want a stabilisation first. Voxels that are not finite in
            either image do not count.
        denoised: the same shape and unit.
        sigma: the noise's standard deviation, or any multiple of it: a number or a map, of which
            only what is above 0 counts.
        mask: bool, the voxels that count; where hardly anything was changed none does.

    Raises:
        ParameterError: shapes that differ, or fewer than 500 voxels at edges.
    """
    from scipy.ndimage import gaussian_filter, uniform_filter

    noisy, denoised = as_floats(image_values(noisy)), as_floats(image_values(denoised))
    if noisy.shape != denoised.shape or noisy.ndim not in (2, 3):
        raise ParameterError(
            f"The residual of images of shapes {noisy.shape} and {denoised.shape} cannot be "
            "looked at: give one (X, Y) or (X, Y, Z) for both."
        )
    levels = np.broadcast_to(np.asarray(sigma, dtype=np.float64), noisy.shape)
    known = np.isfinite(noisy) & np.isfinite(denoised) & np.isfinite(levels) & (levels > 0)
    kind = np.result_type(noisy, denoised)
    shown = np.zeros(noisy.shape, kind)
    np.divide(denoised, levels, out=shown, where=known, dtype=np.float64)
    edges = slope(gaussian_filter(_filled(shown, known), _SCALE, truncate=3))
    del shown  # as large as the image, as all others
    residual = np.zeros(noisy.shape, kind)
    np.subtract(noisy, denoised, out=residual, where=known, dtype=np.float64)
    np.divide(residual, levels, out=residual, where=known)
    wanted = known & checked_mask(mask, noisy.shape)
    changed = wanted & (residual != 0)
    counted = changed
    if not np.array_equal(changed, wanted):
        # Single voxels that came out as they were, by chance or rounding, are of what was changed.
        near = uniform_filter(changed.astype(np.float32), _WINDOW)
        counted = changed | (wanted & (near > _MOSTLY))
    residual[~counted] = 0.0
    power = uniform_filter(np.square(residual), _WINDOW)
    if counted.any():
        counted &= power > _SILENT * np.quantile(power[counted], _STRONG)
    del power
    averaged = gaussian_filter(residual, _SCALE)
    del residual
    if not counted.all():  # nor where the averages reach beyond what counts
        counted &= gaussian_filter(counted.astype(np.float32), 2 * _SCALE) > 0.95
    if np.count_nonzero(counted) * (1 - _EDGES) < _FEWEST:
        raise ParameterError(
            f"There are fewer than {_FEWEST} voxels at edges: the residual says nothing."
        )
    strong, weak = np.quantile(edges[counted], (_EDGES, _FLAT))
    at_edges = counted & (edges >= strong)
    flat = counted & (edges <= weak)
    noise = float(np.mean(averaged[flat] ** 2, dtype=np.float64))
    power_there = float(np.mean(averaged[at_edges] ** 2, dtype=np.float64))
    ratio = power_there / max(noise, np.finfo(np.float64).tiny)
    return ResidualTest(ratio, int(np.count_nonzero(at_edges)))


def _filled(values: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The values, and the nearest known one elsewhere: a hole is no edge."""
    from scipy.ndimage import distance_transform_edt

    if known.all():
        return values
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)])
