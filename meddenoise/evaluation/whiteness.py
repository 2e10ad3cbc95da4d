"""Whether a residual is white: its correlation between neighbours along each axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import as_floats, checked_mask, image_values

__all__ = ["Whiteness", "residual_whiteness"]

LAGS = 3
# The same as for the noise of a scan: less is as good as white.
_NEGLIGIBLE = 0.08
_FEWEST = 1000


@dataclass(frozen=True)
class Whiteness:
    """Autocorrelation of a residual.

    Attributes:
        coefficients: per axis, with the first, second and third neighbour, each -1 to 1; ``None``
            where there are fewer than 1000 pairs.
        chance: three standard errors of a coefficient of white noise.
        largest: the coefficient farthest from 0.
    """

    coefficients: tuple[tuple[float | None, ...], ...]
    chance: float
    largest: float

    @property
    def white(self) -> bool:
        """Whether no coefficient exceeds chance and 0.08."""
        return abs(self.largest) <= max(self.chance, _NEGLIGIBLE)


def residual_whiteness(
    residual: ArrayLike, *, mask: NDArray[np.bool_] | None = None, lags: int = LAGS
) -> Whiteness:
    """``sum r(x) r(x + k) / n / mean(r^2)`` for k = 1 to ``lags`` along each axis, means removed.

    White noise gives 0 within chance. A residual that is correlated either holds anatomy or is of
    noise that is correlated itself (CT, interpolated MRI): compare it with what
    :func:`meddenoise.noise.estimate` says of the noisy scan. A method that averages over neighbours
    leaves a slightly negative one, for it takes away noise minus its local mean.

    Args:
        residual: noisy minus denoised, ``(X, Y)`` or ``(X, Y, Z)``; non-finite voxels do not count.
        mask: bool, the same shape.
        lags: how far.

    Raises:
        ParameterError: fewer than 1000 voxels, or a residual that is constant.
    """
    values = as_floats(image_values(residual))
    counted = checked_mask(mask, values.shape) & np.isfinite(values)
    if np.count_nonzero(counted) < _FEWEST:
        raise ParameterError(
            f"The residual has fewer than {_FEWEST} voxels to tell its correlation from."
        )
    centred = np.where(counted, values, 0.0)
    centred[counted] -= centred[counted].mean(dtype=np.float64)
    power = float((centred[counted] ** 2).mean(dtype=np.float64))
    if power <= 0 or power < 1e-20 * float((values[counted] ** 2).max()):
        raise ParameterError("The residual is constant: nothing was taken away.")
    found: list[tuple[float | None, ...]] = []
    fewest = int(np.count_nonzero(counted))
    for axis in range(values.ndim):
        row: list[float | None] = []
        moved, known = np.moveaxis(centred, axis, 0), np.moveaxis(counted, axis, 0)
        for lag in range(1, lags + 1):
            pairs = int(np.count_nonzero(known[lag:] & known[: len(known) - lag]))
            if pairs < _FEWEST:
                row.append(None)
                continue
            fewest = min(fewest, pairs)
            product = float((moved[lag:] * moved[: len(moved) - lag]).sum(dtype=np.float64))
            row.append(product / pairs / power)
        found.append(tuple(row))
    every = [c for row in found for c in row if c is not None]
    if not every:
        raise ParameterError("The mask is too thin to hold pairs of neighbours.")
    return Whiteness(tuple(found), 3 / fewest**0.5, max(every, key=abs))
