"""Planes of a scan on their way to a network and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meddenoise.errors import ModelError, ParameterError
from meddenoise.transforms.normalisation import Normalisation
from meddenoise.volume import Volume

__all__ = ["as_image", "as_input", "as_level", "in_units", "plane_ranges", "through"]

# A part of a scan is about so many voxels, and so a few megabytes: several are under way at once.
_PART = 2**20


def plane_ranges(shape: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last plane, plus one, of parts of ``(X, Y, Z)`` with a million voxels each."""
    step = max(1, _PART // max(1, shape[0] * shape[1]))
    for first in range(0, shape[2], step):
        yield first, min(first + step, shape[2])


def as_image(
    array: NDArray[Any], valid: NDArray[np.bool_] | None
) -> tuple[NDArray[np.floating], NDArray[np.bool_] | None]:
    """An image as a volume has it, and where it was measured.

    What is no finite number, or is masked, was not measured; ``None`` for everywhere.

    Raises:
        ParameterError: no image of two or three axes, none of real numbers, or two shapes.
    """
    if np.ndim(array) not in (2, 3):
        raise ParameterError(
            f"An array is denoised as (X, Y) or (X, Y, Z), not one of shape {np.shape(array)}: "
            "give several volumes as a Volume."
        )
    if valid is not None and np.shape(valid) != np.shape(array):
        raise ParameterError(
            f"valid is of shape {np.shape(valid)} and the image of {np.shape(array)}: give one for "
            "each voxel."
        )
    volume = Volume.from_array(array)
    measured = None if valid is None else np.asarray(valid, dtype=bool)
    known = volume.valid[0]
    if not known.all():
        measured = known if measured is None else measured & known
    return volume.array[0], measured


def as_level(sigma: Any, shape: Sequence[int]) -> NDArray[np.floating]:
    """The noise's standard deviation as an array: one number, or a map of an image's shape.

    Raises:
        ParameterError: neither of the two, or no finite numbers from 0 on.
    """
    level = np.asarray(sigma)
    if level.dtype.kind not in "fiu":
        raise ParameterError(f"sigma is a number in the scan's units, not {sigma!r}.")
    if level.shape not in ((), tuple(shape)):
        raise ParameterError(
            f"sigma is one number, or a map of the scan's shape {tuple(shape)}, not of "
            f"{level.shape}."
        )
    if not (np.isfinite(level) & (level >= 0)).all():
        raise ParameterError(
            "sigma must be finite and at least 0 (standard deviation of the noise, in the "
            "scan's units)."
        )
    return level


def as_input(
    planes: NDArray[np.floating],
    normalisation: Normalisation,
    level: NDArray[np.floating] | None = None,
) -> Tensor:
    """What a network gets of some planes.

    Args:
        planes: ``(X, Y, n)``, in the scan's units; finite.
        normalisation: of the scan.
        level: the noise's sigma in the scan's units, one number or ``(X, Y, n)``: a second channel.

    Returns:
        ``(n, 1, X, Y)`` float32, or ``(n, 2, X, Y)``.
    """
    turned = planes.transpose(2, 0, 1)
    if level is None:
        # As they lie in memory: to turn them is slow, and whoever wants it otherwise turns them.
        x = np.empty_like(turned, np.float32, subok=False)
        return torch.from_numpy(normalisation.apply(turned, out=x)[:, None])
    x = np.empty((planes.shape[2], 2, *planes.shape[:2]), np.float32)
    normalisation.apply(turned, out=x[:, 0])
    scaled = level / normalisation.scale
    x[:, 1] = scaled.transpose(2, 0, 1) if scaled.ndim else scaled
    return torch.from_numpy(x)


def in_units(part: Tensor, normalisation: Normalisation, dtype: np.dtype) -> NDArray[np.floating]:
    """A network's ``(n, X, Y)`` as ``(X, Y, n)`` in the scan's units; ``part`` may be overwritten.

    Raises:
        ModelError: numbers that are not finite.
    """
    result = part.numpy().transpose(1, 2, 0).astype(dtype, copy=False)
    # The least and the most of numbers of which one is none are none.
    if not (np.isfinite(result.min()) and np.isfinite(result.max())):
        raise ModelError(
            "The network's output is not finite: the model is damaged, or was trained on "
            "scans of other intensities than this one."
        )
    return normalisation.invert(result, out=result)


def through(
    run: Callable[..., Iterator[Tensor]],
    array: NDArray[np.floating],
    normalisation: Normalisation,
    level: NDArray[np.floating] | None,
    progress: Callable[[float], None] | None,
) -> NDArray[np.floating]:
    """An image ``(X, Y, Z)`` in memory through ``run``, :meth:`Compute.planes`; as it came in."""
    everywhere = level is not None and level.ndim > 0

    def planes() -> Iterator[Tensor]:
        for first, last in plane_ranges(array.shape):
            here = level[..., first:last] if everywhere and level is not None else level
            yield as_input(array[..., first:last], normalisation, here)

    # Planes lie one after the other, as in most files: what is made in order is written in order.
    out = np.empty(array.shape[::-1], array.dtype).transpose(2, 1, 0)
    done = 0
    inputs = 1 if level is None else 2
    for part in run(array.shape, planes, inputs=inputs, progress=progress):
        out[..., done : done + len(part)] = in_units(part, normalisation, array.dtype)
        done += len(part)
    return out
