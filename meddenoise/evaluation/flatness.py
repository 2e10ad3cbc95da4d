"""How much noise is left where the image is flat."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import as_floats, checked_mask, image_values

__all__ = ["FlatNoise", "flat_noise"]

_SIDE = 7
_FLATTEST = 0.1
_FEWEST = 10
_SMOOTH = 2.0
# Less than that of the noise is rounding.
_NOTHING = 1e-6
# A window of which more is of one value holds no noise that could be measured.
_CONSTANT = 0.9

Array = NDArray[np.floating]


@dataclass(frozen=True)
class FlatNoise:
    """Noise in the flattest places, before and after.

    Attributes:
        before: standard deviation in the noisy image, in image units.
        after: in the denoised image.
        places: how many windows.
    """

    before: float
    after: float
    places: int

    @property
    def factor(self) -> float | None:
        """``before / after``; ``None`` where nothing at all is left."""
        return self.before / self.after if self.after > _NOTHING * self.before else None


def flat_noise(
    noisy: ArrayLike,
    denoised: ArrayLike,
    *,
    guide: ArrayLike | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> FlatNoise:
    """Local standard deviation in the tenth of all windows that is flattest.

    Windows of 7 voxels a side that lie in the mask and are not constant before; flattest where the
    guide, after a Gaussian mean of sigma 2, varies least. From each a plane is taken away; given is
    the root of the median variance. Anatomy that is left in a window counts as noise, in both;
    noise that is smooth over several voxels goes with the plane in part (after a Gaussian filter of
    sigma 1 voxel in 3-D a sixth of it). A method may leave more noise where there are edges.

    Args:
        noisy: ``(X, Y)`` or ``(X, Y, Z)``.
        denoised: the same shape and unit.
        guide: where to look for flat places: the truth, if there is one, else the mean of both.
        mask: bool, the same shape.

    Raises:
        ParameterError: shapes that differ, or fewer than 10 windows in the mask.
    """
    from scipy.ndimage import gaussian_filter

    before, after = (as_floats(image_values(a)) for a in (noisy, denoised))
    if before.shape != after.shape or before.ndim not in (2, 3):
        raise ParameterError(
            f"Noise in flat places is for two images (X, Y) or (X, Y, Z) of one shape, not of "
            f"{before.shape} and {after.shape}."
        )
    finite = np.isfinite(before) & np.isfinite(after)
    counted = finite & checked_mask(mask, before.shape)
    # A thin axis gets a thin window.
    sides = [min(_SIDE, n) for n in before.shape]
    places = [
        place
        for place in itertools.product(
            *(range(0, n - side + 1, side) for n, side in zip(before.shape, sides, strict=True))
        )
        if counted[_window(place, sides)].all() and not _empty(before[_window(place, sides)])
    ]
    if len(places) < _FEWEST:
        raise ParameterError(
            f"There are {len(places)} windows of {_SIDE} voxels a side within the mask that hold "
            f"noise; the noise in flat places wants {_FEWEST}."
        )
    shown = (before + after) / 2 if guide is None else as_floats(np.asarray(guide))
    if not finite.all():
        shown = np.where(finite, shown, 0.0)
    smooth = gaussian_filter(shown, _SMOOTH)
    flatness = np.array([smooth[_window(place, sides)].var(dtype=np.float64) for place in places])
    count = max(_FEWEST, round(_FLATTEST * len(places)))
    chosen = [places[k] for k in np.argsort(flatness, kind="stable")[:count]]
    plane = _plane(sides)
    found = [
        float(np.sqrt(np.median([_variance(image[_window(p, sides)], plane) for p in chosen])))
        for image in (before, after)
    ]
    return FlatNoise(found[0], found[1], len(chosen))


def _window(place: tuple[int, ...], sides: list[int]) -> tuple[slice, ...]:
    return tuple(slice(p, p + side) for p, side in zip(place, sides, strict=True))


def _empty(window: Array) -> bool:
    """Whether there is hardly any noise at all: clipped by a display window, or masked before."""
    return bool(np.mean(window == np.median(window)) > _CONSTANT)


def _plane(sides: list[int]) -> Array:
    """An orthonormal basis of the planes over a window."""
    grid = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in sides], indexing="ij")
    terms = [np.ones(sides), *(g for g, n in zip(grid, sides, strict=True) if n > 1)]
    basis, _ = np.linalg.qr(np.stack([term.ravel() for term in terms], axis=1))
    return np.asarray(basis)


def _variance(window: Array, plane: Array) -> float:
    values = window.ravel()
    left = values - plane @ (plane.T @ values)
    return float(left @ left) / (values.size - plane.shape[1])
