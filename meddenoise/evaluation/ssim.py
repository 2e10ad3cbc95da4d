"""Structural similarity, in 2-D and 3-D, within a mask, and in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import image_values
from meddenoise.evaluation.metrics import check_data_range, selected

__all__ = ["SSIM", "ssim"]

# Wang et al. 2004: an 11-tap Gaussian of sigma 1.5, population covariance.
_SIGMA = 1.5
_TAPS = 11
_BORDER = _TAPS // 2
_SETTINGS = "Gaussian sigma 1.5, 11 taps, K1 0.01, K2 0.03"

# scikit-image holds about 12 arrays in double precision while it works.
_SLAB_VOXELS = 4_000_000

_AXES = "XYZ"


@dataclass(frozen=True)
class SSIM:
    """A structural similarity and how it was measured.

    Attributes:
        value: mean SSIM, at most 1.
        convention: dimensionality and window in words.
        voxels: over how many voxels of the SSIM map the mean was taken.
    """

    value: float
    convention: str
    voxels: int


def ssim(
    reference: ArrayLike,
    image: ArrayLike,
    *,
    data_range: float,
    mask: NDArray[np.bool_] | None = None,
) -> SSIM:
    """Mean structural similarity (Wang et al., IEEE Trans Image Process 13:600, 2004).

    It is scikit-image's ``structural_similarity(gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False)``, whose own default is another one: a uniform 7-wide window.
    As there, the 5 outermost voxels are left out of the mean, for their window is not full.

    With a mask it is the mean of the SSIM map over the mask; the map sees what is
    around the mask, except voxels that are not finite in either image: these are filled
    alike in both. Where a mask lies wholly in the outermost 5 voxels, they do count.

    A volume of fewer than 11 slices along one axis is measured slice by slice in 2-D.

    Args:
        reference: the truth, ``(X, Y)`` or ``(X, Y, Z)``.
        image: what is judged, the same shape and unit.
        data_range: as for :func:`meddenoise.evaluation.psnr`.
        mask: bool, the same shape.

    Raises:
        ParameterError: as :func:`meddenoise.evaluation.psnr`, no 2 or 3 axes, or fewer than
            two axes of at least 11 voxels.
    """
    data_range = check_data_range(data_range)
    truth, judged = image_values(reference), image_values(image)
    if truth.ndim not in (2, 3):
        raise ParameterError(f"SSIM is for images of 2 or 3 axes, not of shape {truth.shape}.")
    if truth.shape != judged.shape:
        raise ParameterError(f"The reference has shape {truth.shape}, the image {judged.shape}.")
    finite = np.isfinite(truth) & np.isfinite(judged)
    chosen = finite if mask is None else mask
    _, _, chosen = selected(truth, judged, chosen)
    truth, judged = (_filled(values, finite, truth) for values in (truth, judged))

    short = [axis for axis, length in enumerate(truth.shape) if length < _TAPS]
    if truth.ndim - len(short) < 2:
        raise ParameterError(
            f"SSIM needs at least {_TAPS} voxels along two axes; the image is {truth.shape}."
        )
    axes = [axis for axis in range(truth.ndim) if axis not in short]
    where = chosen & _interior(truth.shape, axes)
    if not where.any():
        where = chosen
    convention = f"{len(axes)}-D, {_SETTINGS}"
    pieces: Iterable[tuple[NDArray, NDArray, NDArray[np.bool_]]] = [(truth, judged, where)]
    if short:
        convention = f"2-D slices along {_AXES[short[0]]} ({truth.shape[short[0]]}), {_SETTINGS}"
        truth, judged, where = (np.moveaxis(v, short[0], 0) for v in (truth, judged, where))
        pieces = zip(truth, judged, where, strict=True)
    # Products of numbers near 1 neither vanish nor overflow; a power of 2 rounds nothing.
    largest = max(data_range, *(float(np.abs(values).max()) for values in (truth, judged)))
    power = -math.frexp(largest)[1]
    total = math.fsum(_sum_over(*piece, data_range, power) for piece in pieces)
    count = int(where.sum())
    return SSIM(total / count, convention, count)


def _sum_over(
    truth: NDArray, judged: NDArray, where: NDArray[np.bool_], data_range: float, power: int
) -> float:
    """The SSIM map's sum over ``where``, in slabs of the first axis, of all by 2 to that power."""
    from skimage.metrics import structural_similarity

    total = 0.0
    for wide, kept in _slabs(truth.shape):
        if not where[wide][kept].any():
            continue
        _, similarity = structural_similarity(
            np.ldexp(truth[wide].astype(np.float64), power),
            np.ldexp(judged[wide].astype(np.float64), power),
            data_range=math.ldexp(data_range, power),
            gaussian_weights=True,
            sigma=_SIGMA,
            use_sample_covariance=False,
            full=True,
        )
        total += float(similarity[kept][where[wide][kept]].sum())
    return total


def _slabs(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Slabs with the halo that the window needs, and the part of each that is exact."""
    rows = max(_TAPS, _SLAB_VOXELS // math.prod(shape[1:]))
    for first in range(0, shape[0], rows):
        last = min(first + rows, shape[0])
        # A last slab thinner than the window is widened: its halo grows inwards.
        begin = max(0, min(first - _BORDER, shape[0] - _TAPS))
        end = min(shape[0], last + _BORDER)
        yield slice(begin, end), slice(first - begin, last - begin)


def _interior(shape: tuple[int, ...], axes: list[int]) -> NDArray[np.bool_]:
    """Where the window is full along the axes it spans."""
    inside = np.zeros(shape, dtype=bool)
    inside[
        tuple(
            slice(_BORDER, length - _BORDER) if axis in axes else slice(None)
            for axis, length in enumerate(shape)
        )
    ] = True
    return inside


def _filled(values: NDArray, finite: NDArray[np.bool_], truth: NDArray) -> NDArray:
    """``values`` with the reference's mean wherever either image is not finite."""
    if finite.all():
        return values
    return np.where(finite, values, truth[finite].mean(dtype=np.float64))
