"""Chooses a filter's strength by its expected error, without knowing the truth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["expected_error", "least_error"]

Option = TypeVar("Option")
Array = NDArray[np.floating]

# The choice hardly changes beyond so many voxels; more would only cost time.
_ENOUGH = 2**18

# They are looked at in so many blocks along each axis, evenly spaced, because anatomy differs from
# place to place; and so many voxels around a block are filtered with it, as its neighbours.
_BLOCKS = 3
_MARGIN = 4

# Of sigma: small beside the noise, and large beside the rounding of single precision.
_PROBE = 0.1


def expected_error(function: Callable[[Array], Array], noisy: Array, sigma: float) -> float:
    """Mean squared error to the unknown truth that a filter's result is expected to have.

    Stein's unbiased risk estimate for white Gaussian noise, its divergence by one random probe
    (Ramani, Blu and Unser, IEEE TIP 17:1540, 2008, eq. 10):
    ``mean((f(y) - y)^2) - sigma^2 + 2 sigma^2 mean(b (f(y + e b) - f(y))) / e`` with random
    signs b.

    Args:
        function: the filter.
        noisy: ``(X, Y)`` or ``(X, Y, Z)``; of more than 262,144 voxels, evenly spaced blocks are
            looked at, of about so many voxels together.
        sigma: the noise's standard deviation in image units, above 0.

    Returns:
        In squared image units; an estimate, which may be below 0.
    """
    # The signs are the same at every call: what differs between filters is the filter.
    draws = np.random.default_rng(0)
    step = _PROBE * sigma
    total, count = 0.0, 0
    for around, inside in _blocks(noisy.shape):
        image = np.ascontiguousarray(noisy[around])
        signs = draws.choice(np.array([-1, 1], noisy.dtype), image.shape)
        result = np.asarray(function(image), dtype=np.float64)
        moved = np.asarray(function(image + noisy.dtype.type(step) * signs), dtype=np.float64)
        change = ((result - image) ** 2)[inside].sum()
        total += change + 2 * sigma**2 * (signs * (moved - result))[inside].sum() / step
        count += result[inside].size
    return float(total / count - sigma**2)


def least_error(
    function: Callable[[Array, Option], Array],
    options: Sequence[Option],
    noisy: Array,
    sigma: float,
) -> Option:
    """The option with the least expected error, which falls up to it and rises after it.

    Args:
        function: of an image and an option.
        options: to choose among, from the mildest to the strongest.
        noisy: ``(X, Y)`` or ``(X, Y, Z)``.
        sigma: the noise's standard deviation in image units; with 0, the mildest is chosen.
    """
    best, least = options[0], math.inf
    if sigma == 0:
        return best
    for option in options:
        error = expected_error(partial(_with, function, option), noisy, sigma)
        if error > least:
            break
        best, least = option, error
    return best


def _with(function: Callable[[Array, Option], Array], option: Option, image: Array) -> Array:
    return function(image, option)


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Where blocks with their margin lie in the image, and a block in itself with its margin."""
    share = (_ENOUGH / math.prod(shape)) ** (1 / len(shape))
    if share >= 1:
        whole = (slice(None),) * len(shape)
        yield whole, whole
        return
    places = []
    for length in shape:
        width = max(1, round(length * share / _BLOCKS))
        cell = length / _BLOCKS
        places.append([(int(cell * (k + 0.5) - width / 2), width) for k in range(_BLOCKS)])
    for corner in itertools.product(*places):
        begins = [max(start - _MARGIN, 0) for start, _ in corner]
        yield (
            tuple(slice(b, s + w + _MARGIN) for b, (s, w) in zip(begins, corner, strict=True)),
            tuple(slice(s - b, s - b + w) for b, (s, w) in zip(begins, corner, strict=True)),
        )
