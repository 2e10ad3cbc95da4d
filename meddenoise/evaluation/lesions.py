"""Synthetic low-contrast lesions: where they may lie, what they add, and what is left of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import check_spacing, checked_mask

__all__ = ["find_sites", "lesion_contrast", "lesion_patches", "lesion_signal"]

REACH = 2.0
"""Radii: the surroundings of a lesion that belong to it, and half of the least distance of two."""

_CORE, _RING = 0.8, 1.4
_CANDIDATES = 20_000
# Quarters of the candidates, by how flat their surroundings are: the first that has room is taken.
_FLATTEST = (0.25, 0.5, 1.0)
_SAMPLES = 3

Array = NDArray[np.float64]


def find_sites(
    image: ArrayLike,
    *,
    diameter: float,
    count: int,
    mask: NDArray[np.bool_] | None = None,
    spacing: Sequence[float] | None = None,
    seed: int = 0,
) -> Array:
    """Places for lesions: within the mask with their surroundings, apart from each other, and flat.

    Each keeps a diameter from the mask's border, and two diameters from the next. They are drawn
    from the flattest quarter of all places (by the local variation over a diameter of the image
    after a mean), or if that has no room from the flattest half, or from all; and lie between
    voxels as chance has it, so that no two are sampled alike.

    Args:
        image: ``(X, Y)`` or ``(X, Y, Z)``.
        diameter: of the largest lesion, in mm.
        count: how many are wanted.
        mask: bool, the same shape: the tissue.
        spacing: voxel size in mm per axis; 1 mm by default.
        seed: of the draws.

    Returns:
        ``(n, d)`` in voxels, n at most ``count``.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    values = np.asarray(image, dtype=np.float64)
    sizes = check_spacing(spacing, values.ndim)
    if not (math.isfinite(diameter) and diameter > 0):
        raise ParameterError(f"A lesion's diameter is {diameter:g} mm: it is above 0.")
    finite = np.isfinite(values)
    inside = finite & checked_mask(mask, values.shape)
    reach = REACH * diameter / 2
    # Within the image as well: its outside is no tissue.
    depth = distance_transform_edt(np.pad(inside, 1), sampling=sizes)
    deep = depth[(slice(1, -1),) * values.ndim] >= reach + max(sizes)
    found = np.zeros((0, values.ndim))
    if not deep.any():
        return found
    smooth = gaussian_filter(np.where(finite, values, values[inside].mean()), 1.0)
    scale = [diameter / 2 / s for s in sizes]
    rough = gaussian_filter(smooth**2, scale) - gaussian_filter(smooth, scale) ** 2
    draws = np.random.default_rng(seed)
    candidates = np.argwhere(deep)
    if len(candidates) > _CANDIDATES:
        candidates = candidates[draws.choice(len(candidates), _CANDIDATES, replace=False)]
    else:
        candidates = draws.permutation(candidates)
    order = rough[tuple(candidates.T)]
    for share in _FLATTEST:
        chosen = candidates[order <= np.quantile(order, share)]
        found = _apart(chosen + draws.uniform(-0.5, 0.5, chosen.shape), sizes, 2 * reach, count)
        if len(found) >= count:
            break
    return found


def _apart(places: Array, sizes: Sequence[float], least: float, count: int) -> Array:
    """The first places that keep that distance in mm from each other."""
    metric = places * np.array(sizes)
    kept: list[int] = []
    for number, place in enumerate(metric):
        if kept and np.min(((metric[kept] - place) ** 2).sum(axis=1)) < least**2:
            continue
        kept.append(number)
        if len(kept) == count:
            break
    return places[kept]


def lesion_signal(
    shape: Sequence[int],
    centres: ArrayLike,
    *,
    diameter: float,
    contrast: float,
    spacing: Sequence[float] | None = None,
    blur: float | None = None,
) -> Array:
    """What balls (discs in 2-D) of one contrast add to an image.

    The profile along a radius is ``contrast / 2 erfc((r - R) / (sqrt(2) b))``: an edge as a scanner
    images it; every voxel is the mean over 3 points along each axis, so that thick slices hold part
    of a ball.

    Args:
        shape: of the image.
        centres: ``(n, d)`` in voxels.
        diameter: 2 R, in mm: where the profile has fallen to a half.
        contrast: in image units; negative for a dark lesion.
        spacing: voxel size in mm per axis; 1 mm by default.
        blur: b in mm; by default half of the finest voxel size.

    Returns:
        float64 of that shape: 0 away from the lesions.
    """
    from scipy.special import erfc

    sizes = check_spacing(spacing, len(shape))
    width = min(sizes) / 2 if blur is None else blur
    radius = diameter / 2
    added = np.zeros(tuple(shape))
    inner = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
    for centre in np.atleast_2d(np.asarray(centres, dtype=np.float64)):
        reach = [(radius + 5 * width) / s + 1 for s in sizes]
        box = tuple(
            slice(max(int(c - r), 0), min(int(c + r) + 2, n))
            for c, r, n in zip(centre, reach, shape, strict=True)
        )
        total = np.zeros(added[box].shape)
        for shift in itertools.product(inner, repeat=len(sizes)):
            axes = [
                (np.arange(b.start, b.stop) + d - c) * s
                for b, c, s, d in zip(box, centre, sizes, shift, strict=True)
            ]
            away = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))
            total += erfc((away - radius) / (math.sqrt(2) * width))
        added[box] += contrast / 2 * total / len(inner) ** len(sizes)
    return added


def lesion_contrast(
    image: ArrayLike,
    centres: ArrayLike,
    *,
    diameter: float,
    spacing: Sequence[float] | None = None,
) -> Array:
    """``(n,)``: mean of the inner 0.8 radii of each lesion minus that of a ring of 1.4 to 2 radii.

    Args:
        image: ``(X, Y)`` or ``(X, Y, Z)``, image units.
        centres: ``(n, d)`` in voxels.
        diameter: in mm.
        spacing: voxel size in mm per axis; 1 mm by default.

    Raises:
        ParameterError: a lesion so small that no voxel lies in its core or ring.
    """
    values = np.asarray(image, dtype=np.float64)
    sizes = check_spacing(spacing, values.ndim)
    radius, found = diameter / 2, []
    for centre in np.atleast_2d(np.asarray(centres, dtype=np.float64)):
        reach = [REACH * radius / s + 1 for s in sizes]
        box = tuple(
            slice(max(int(c - r), 0), min(int(c + r) + 2, n))
            for c, r, n in zip(centre, reach, values.shape, strict=True)
        )
        axes = [
            (np.arange(b.start, b.stop) - c) * s for b, c, s in zip(box, centre, sizes, strict=True)
        ]
        away = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij"))) / radius
        # Of a lesion of hardly a voxel, that voxel.
        core = away <= max(_CORE, float(away.min()))
        ring = (away >= _RING) & (away <= REACH)
        if not ring.any():
            raise ParameterError(
                f"A lesion of {diameter:g} mm is too small for voxels of {tuple(sizes)} mm: its "
                "surroundings hold no voxel."
            )
        found.append(values[box][core].mean() - values[box][ring].mean())
    return np.array(found)


def lesion_patches(
    image: ArrayLike,
    centres: ArrayLike,
    *,
    diameter: float,
    spacing: Sequence[float] | None = None,
) -> tuple[Array, tuple[float, float]]:
    """What a reader sees of each lesion: a square of the slice through its middle, interpolated.

    Args:
        image: ``(X, Y)`` or ``(X, Y, Z)``; slices are across its coarsest axis.
        centres: ``(n, d)`` in voxels.
        diameter: in mm; a square is twice as wide.
        spacing: voxel size in mm per axis; 1 mm by default.

    Returns:
        ``(n, side, side)`` with the lesion's centre in the middle, by cubic splines within the
        slice nearest to it; and the two voxel sizes in mm.
    """
    from scipy.ndimage import map_coordinates

    values = np.asarray(image, dtype=np.float64)
    sizes = check_spacing(spacing, values.ndim)
    places = np.atleast_2d(np.asarray(centres, dtype=np.float64))
    across = None if values.ndim == 2 else 2 - int(np.argmax(sizes[::-1]))
    plane = [axis for axis in range(values.ndim) if axis != across]
    fine = (sizes[plane[0]], sizes[plane[1]])
    half = [max(2, round(REACH * diameter / 2 / s)) for s in fine]
    grid = np.meshgrid(*[np.arange(-h, h + 1) for h in half], indexing="ij")
    made = []
    for place in places:
        points = [place[axis] + g for axis, g in zip(plane, grid, strict=True)]
        shown = values
        if across is not None:
            number = int(np.clip(round(place[across]), 0, values.shape[across] - 1))
            shown = np.take(values, number, axis=across)
        corner = [max(int(p.min()) - 8, 0) for p in points]
        cut = tuple(slice(c, int(p.max()) + 10) for c, p in zip(corner, points, strict=True))
        moved = [p - c for p, c in zip(points, corner, strict=True)]
        made.append(map_coordinates(shown[cut], moved, order=3, mode="nearest"))
    return np.array(made), fine
