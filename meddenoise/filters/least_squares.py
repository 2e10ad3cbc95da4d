"""The weights of a sum of images, from sums over their voxels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["least_squares", "product_sums"]

Array = NDArray[np.floating]

# Below that share of the largest eigenvalue, images are too alike to tell apart.
_ALIKE = 1e-9

# Voxels whose products are summed at once.
_AT_ONCE = 2**18


def product_sums(images: Sequence[Array], other: Array) -> tuple[Array, Array]:
    """All products of two images, and of an image and another one, summed over voxels.

    Args:
        images: each ``(voxels,)``.
        other: ``(voxels,)``.

    Returns:
        float64, ``(images, images)`` and ``(images,)``.
    """
    count = len(images)
    products, with_other = np.zeros((count, count)), np.zeros(count)
    for start in range(0, other.size, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        rows = np.stack([image[part] for image in images]).astype(np.float64)
        products += rows @ rows.T
        with_other += rows @ other[part].astype(np.float64)
    return products, with_other


def least_squares(products: Array, right: Array) -> Array:
    """The weights; images that are alike share theirs, and empty ones get none.

    Args:
        products: as of :func:`product_sums`.
        right: ``(images,)``: what they are to be multiplied by the weights.
    """
    size = np.sqrt(np.diag(products))
    size[size == 0] = 1.0
    scaled = products / np.outer(size, size)
    return np.asarray(np.linalg.pinv(scaled, rcond=_ALIKE, hermitian=True) @ (right / size)) / size
