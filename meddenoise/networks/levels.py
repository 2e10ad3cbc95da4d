"""The grids of a network that goes down to coarser levels and up again."""

from __future__ import annotations

import math
from collections.abc import Sequence

from meddenoise.errors import ConfigError

__all__ = ["MOST_LAYERS", "multiple_of", "reach_of", "steps_between"]

# No network is deeper: a slip of the pen would be built layer by layer until memory is full.
MOST_LAYERS = 1000
# Images are padded to a multiple of the coarsest cell.
_LARGEST_CELL = 1024


def steps_between(
    what: str,
    dims: int,
    channels: Sequence[int],
    strides: Sequence[int | Sequence[int]] | None,
) -> list[tuple[int, ...]]:
    """By how much each axis shrinks between two levels, top first.

    Args:
        what: the network, for messages: ``"A U-Net"``.
        dims: 2 or 3.
        channels: features per level.
        strides: one number a step, or one list of ``dims`` numbers a step; 2 everywhere if null.

    Raises:
        ConfigError: no level or one without features, or strides that do not fit the levels or any
            image.
    """
    if not channels or min(channels) < 1:
        raise ConfigError(f"{what} needs a positive number of channels at every level.")
    given = [2] * (len(channels) - 1) if strides is None else list(strides)
    steps = [(s,) * dims if isinstance(s, int) else tuple(s) for s in given]
    if len(steps) != len(channels) - 1 or any(len(s) != dims or min(s) < 1 for s in steps):
        raise ConfigError(
            f"{what} of {len(channels)} levels and {dims} axes needs {len(channels) - 1} "
            f"strides, each one number or {dims} numbers of at least 1, not {strides}."
        )
    if steps and max(multiple_of(dims, steps)) > _LARGEST_CELL:
        raise ConfigError(
            f"{what} with strides {given} pads images to a multiple of "
            f"{max(multiple_of(dims, steps))} voxels: give smaller ones or fewer levels, for a "
            f"product of at most {_LARGEST_CELL} along each axis."
        )
    return steps


def multiple_of(dims: int, steps: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The coarsest grid's cell, in voxels per axis."""
    return tuple(math.prod(step[axis] for step in steps) for axis in range(dims))


def reach_of(
    dims: int,
    steps: Sequence[Sequence[int]],
    convolutions: Sequence[int],
    *,
    blurred: bool = False,
) -> tuple[int, ...]:
    """How far, in voxels per axis, an output voxel sees.

    Args:
        dims: 2 or 3.
        steps: from :func:`steps_between`.
        convolutions: of 3 voxels in a row at each level, on the way down and up together.
        blurred: whether pooling looks a voxel beyond the cell on either side.
    """
    reach = []
    for axis in range(dims):
        seen, scale = 0, 1
        for level, passes in enumerate(convolutions):
            seen += passes * scale
            if level < len(steps):
                step = steps[level][axis]
                # Pooling, and upsampling to the same cell again, reach across one cell.
                seen += (step - 1 + int(blurred and step > 1)) * scale
                scale *= step
        reach.append(seen)
    return tuple(reach)
