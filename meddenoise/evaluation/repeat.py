"""Error against a second acquisition of the same thing, whose noise is taken off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.metrics import selected

__all__ = ["RepeatError", "error_by_repeat"]

_CERTAIN = 2.0


@dataclass(frozen=True)
class RepeatError:
    """An error to the unknown truth, told by a repeat.

    Attributes:
        mse: in squared image units, above 0.
        uncertainty: its standard error if voxels were independent (at least), the same unit.
        noise_variance: of the repeat, which was taken off.
        source: what told that variance, in words.
    """

    mse: float
    uncertainty: float
    noise_variance: float
    source: str


def error_by_repeat(
    image: ArrayLike,
    repeat: ArrayLike,
    *,
    noisy: ArrayLike | None = None,
    sigma: float | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> RepeatError:
    """``mean((image - repeat)^2) - sigma^2``: the image's mean squared error to the truth.

    As the repeat's noise is independent of the image, its square adds to the distance and nothing
    else does (the argument behind Noise2Noise, Lehtinen et al., ICML 2018). With the noisy scan
    that the image was made of, and noise as strong in both scans,
    ``sigma^2 = mean((noisy - repeat)^2) / 2``, whatever the noise's correlation and wherever it is
    stronger. Both must show the same thing at the same place on the same scale: what has moved
    counts as error.

    Args:
        image: the denoised scan.
        repeat: the second acquisition, the same shape and unit; never one that the image was made
            of.
        noisy: the first acquisition, or
        sigma: the repeat's noise, in image units.
        mask: bool, the same shape.

    Raises:
        ParameterError: neither or both of ``noisy`` and ``sigma``, shapes that differ, an empty
            mask, a repeat that is the noisy scan itself, or an error too small to tell from chance.
    """
    if (noisy is None) == (sigma is None):
        raise ParameterError("Give the noisy scan or the repeat's sigma, one of the two.")
    judged, other, inside = selected(image, repeat, mask)
    square = (judged[inside].astype(np.float64) - other[inside]) ** 2
    if noisy is not None:
        first, _, _ = selected(noisy, repeat, mask)
        apart = (first[inside].astype(np.float64) - other[inside]) ** 2 / 2
        if not apart.any():
            raise ParameterError(
                "The repeat is the noisy scan itself: a second acquisition is needed."
            )
        source = "half the squared difference of both acquisitions"
    else:
        assert sigma is not None
        if not (np.isfinite(sigma) and sigma >= 0):
            raise ParameterError(f"sigma is {sigma:g}: it is finite and at least 0.")
        apart, source = np.full(square.shape, float(sigma) ** 2), "the sigma of the repeat"
    each = square - apart
    mse, chance = float(each.mean()), float(each.std() / np.sqrt(each.size))
    if mse <= _CERTAIN * chance:
        raise ParameterError(
            f"By the repeat the squared error is {mse:.4g} with a standard error of {chance:.4g}: "
            "too small to tell (or the repeat's noise is weaker than assumed)."
        )
    return RepeatError(mse, chance, float(apart.mean()), source)
