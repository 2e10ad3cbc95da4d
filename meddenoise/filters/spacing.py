"""What voxel sizes mean for filters."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["THICK", "box_sizes", "relative_spacing", "slice_axis"]

THICK = 2.0
"""A neighbour more than so many times as far away as the nearest one shows other tissue."""


def box_sizes(size: int, spacing: Sequence[float]) -> list[int]:
    """A box ``size`` voxels wide, but one voxel deep across thick slices.

    Args:
        size: in voxels, odd.
        spacing: voxel size in mm per axis.
    """
    return [size if step <= THICK * min(spacing) else 1 for step in spacing]


def relative_spacing(spacing: Sequence[float]) -> list[float]:
    """Voxel sizes as multiples of the finest one, so at least 1."""
    return [step / min(spacing) for step in spacing]


def slice_axis(spacing: Sequence[float]) -> int | None:
    """The axis across thick slices of a volume, which are better filtered one by one.

    Args:
        spacing: voxel size in mm per axis, of 2 or 3 axes.

    Returns:
        The axis of the longest voxel side if it is more than twice the shortest one; None
        otherwise, and for pictures.
    """
    if len(spacing) < 3 or max(spacing) <= THICK * min(spacing):
        return None
    return list(spacing).index(max(spacing))
