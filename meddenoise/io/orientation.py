"""Flips and permutations of axes, undone exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["back_on_grid"]


def back_on_grid(
    array: NDArray,
    affine: NDArray[np.float64],
    target_affine: NDArray[np.float64],
    target_shape: Sequence[int],
) -> tuple[NDArray, NDArray[np.float64]]:
    """The array with its axes in the order and direction of a target grid.

    Args:
        array: ``(C, X, Y, Z)`` or ``(C, X, Y)``.
        affine: ``(4, 4)``, its voxel index to RAS+ mm.
        target_affine: ``(4, 4)`` of the grid it came from.
        target_shape: spatial shape of that grid.

    Returns:
        The array and the target's affine if both describe the same voxels, only in another
        order; else what was given, untouched.
    """
    dims = array.ndim - 1
    if dims != len(target_shape):
        return array, affine
    # From target index to array index: an exact signed permutation and an integer shift, or not.
    mapping = np.linalg.inv(affine) @ target_affine
    linear = np.rint(mapping[:dims, :dims])
    if np.abs(mapping[:dims, :dims] - linear).max() > 1e-3:
        return array, affine
    if not (np.abs(linear).sum(0) == 1).all() or not (np.abs(linear).sum(1) == 1).all():
        return array, affine
    order = [int(np.argmax(np.abs(linear[:, axis]))) for axis in range(dims)]
    turned = array.transpose(0, *(1 + axis for axis in order))
    if turned.shape[1:] != tuple(target_shape):
        return array, affine
    flips = [axis for axis in range(dims) if linear[order[axis], axis] < 0]
    turned = np.flip(turned, tuple(1 + axis for axis in flips))
    start = (mapping @ np.array([0.0, 0.0, 0.0, 1.0]))[:dims]
    expected = np.zeros(dims)
    for axis in flips:
        expected[order[axis]] = target_shape[axis] - 1
    if np.abs(start - expected).max() > 0.01:
        return array, affine
    return np.ascontiguousarray(turned), np.array(target_affine, dtype=np.float64)
