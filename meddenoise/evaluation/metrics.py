"""Voxelwise distances between a reference and an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import checked_mask, image_values

__all__ = ["Errors", "check_data_range", "mae", "psnr", "psnr_of", "rmse", "selected"]

# SSIM takes its square, in double precision.
_LARGEST = 1e150


def psnr(
    reference: ArrayLike,
    image: ArrayLike,
    *,
    data_range: float,
    mask: NDArray[np.bool_] | None = None,
) -> float:
    """Peak signal-to-noise ratio in dB: ``10 log10(data_range^2 / MSE)``.

    Args:
        reference: the truth, any shape.
        image: what is judged, the same shape and unit.
        data_range: the peak, in the image's units; from the modality, the reference or a
            window, never from the judged image.
        mask: bool, the same shape; only these voxels count.

    Returns:
        dB; ``inf`` for identical images.

    Raises:
        ParameterError: shapes that differ, an empty mask, a voxel that is not finite, or a
            data range that is not positive.
    """
    data_range = check_data_range(data_range)
    return psnr_of(rmse(reference, image, mask=mask), data_range)


def psnr_of(error: float, data_range: float) -> float:
    """The PSNR in dB of a root mean squared difference; ``inf`` of none."""
    return 20 * math.log10(data_range / error) if error > 0 else math.inf


def rmse(reference: ArrayLike, image: ArrayLike, *, mask: NDArray[np.bool_] | None = None) -> float:
    """Root mean squared difference in the image's units; arguments as :func:`psnr`'s."""
    return _root_mean_square(_difference(reference, image, mask))


def mae(reference: ArrayLike, image: ArrayLike, *, mask: NDArray[np.bool_] | None = None) -> float:
    """Mean absolute difference in the image's units; arguments as :func:`psnr`'s."""
    apart = _difference(reference, image, mask)
    return float(np.mean(np.abs(apart, out=apart)))


@dataclass(frozen=True)
class Errors:
    """What images differ by, from one look at them.

    Attributes:
        rmse, mae: see the functions; in image units.
        bias: mean of image minus reference; see :func:`meddenoise.evaluation.bias.bias`.
        voxels: that were compared.
    """

    rmse: float
    mae: float
    bias: float
    voxels: int

    @classmethod
    def of(cls, reference: ArrayLike, image: ArrayLike, mask: NDArray[np.bool_]) -> Errors:
        """Arguments as :func:`psnr`'s."""
        apart = _difference(reference, image, mask)
        shift, size = float(np.mean(apart)), apart.size
        absolute = float(np.mean(np.abs(apart, out=apart)))
        return cls(_root_mean_square(apart), absolute, shift, size)

    @classmethod
    def over(cls, parts: Sequence[Errors]) -> Errors:
        """Those of all voxels of several images."""
        total = sum(one.voxels for one in parts)
        shares = [one.voxels / total for one in parts]
        return cls(
            math.hypot(*(one.rmse * math.sqrt(s) for one, s in zip(parts, shares, strict=True))),
            math.fsum(one.mae * s for one, s in zip(parts, shares, strict=True)),
            math.fsum(one.bias * s for one, s in zip(parts, shares, strict=True)),
            total,
        )


def _root_mean_square(values: NDArray[np.float64]) -> float:
    """Overwrites them."""
    # Squares of numbers near 1, which neither vanish nor overflow; powers of 2 round nothing.
    power = int(np.frexp(max(-float(values.min()), float(values.max())))[1])
    np.ldexp(values, -power, out=values)
    return math.ldexp(math.sqrt(float(np.mean(np.square(values, out=values)))), power)


def check_data_range(data_range: float) -> float:
    """``data_range`` if it can be a peak.

    Raises:
        ParameterError: not finite, zero or negative, or above 1e150.
    """
    if not 0 < data_range <= _LARGEST:
        raise ParameterError(
            f"data_range is {data_range:g}: it must be finite and above 0, in the image's units, "
            f"and at most {_LARGEST:g}; rescale images of larger values."
        )
    return float(data_range)


def selected(
    reference: ArrayLike, image: ArrayLike, mask: NDArray[np.bool_] | None
) -> tuple[NDArray, NDArray, NDArray[np.bool_]]:
    """Both images and the voxels to compare, checked.

    Raises:
        ParameterError: shapes that differ, an empty mask, or a selected voxel not finite.
    """
    truth, judged = image_values(reference), image_values(image)
    if truth.shape != judged.shape:
        raise ParameterError(f"The reference has shape {truth.shape}, the image {judged.shape}.")
    inside = checked_mask(mask, truth.shape)
    if not inside.any():
        raise ParameterError("The mask is empty: there is no voxel to compare.")
    if not (np.isfinite(truth) & np.isfinite(judged) | ~inside).all():
        raise ParameterError(
            "A voxel to compare is not finite, or masked: leave it out by the mask."
        )
    return truth, judged, inside


def _difference(
    reference: ArrayLike, image: ArrayLike, mask: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    truth, judged, mask = selected(reference, image, mask)
    if not mask.all():
        truth, judged = truth[mask], judged[mask]
    return np.asarray(np.subtract(judged, truth, dtype=np.float64))
