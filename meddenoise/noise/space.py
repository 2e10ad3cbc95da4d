"""Noise that needs to know how large a voxel is, and which way the slices run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.noise.registry import NoiseModel

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["axial_axis", "run_in_space"]


def axial_axis(affine: NDArray[np.floating]) -> int:
    """Which of the three voxel axes runs along the patient, from foot to head.

    Args:
        affine: ``(4, 4)``, voxel index to RAS+ mm.

    Returns:
        0, 1 or 2: the axis whose direction is nearest to the patient's z; the last if two are
        equally near.
    """
    steps = affine[:3, :3]
    along = np.abs(steps[2]) / np.linalg.norm(steps, axis=0)
    return int(2 - np.argmax(along[::-1]))


def run_in_space(
    noise: NoiseModel,
    x: Tensor,
    drawn: Mapping[str, Any],
    *,
    dims: int,
    affine: NDArray[np.floating] | None,
    generator: torch.Generator,
) -> Tensor:
    """:meth:`NoiseModel.run`, with axial slices along the last axis for a model that needs them.

    Args:
        noise: the model.
        x: ``(X, Y)`` or ``(X, Y, Z)``, or with channels ``(C, ...)``, or with a batch of them
            ``(B, C, ...)``.
        drawn: the model's arguments.
        dims: how many of ``x``'s last axes are in space, 2 or 3.
        affine: ``(4, 4)``, voxel index to RAS+ mm; ``None`` if unknown.
        generator: where all draws come from.

    Returns:
        A tensor of ``x``'s shape.

    Raises:
        ParameterError: the model needs the voxel size and there is no affine; else as the
            model.
    """
    if x.ndim == dims + 1:
        # Models take what has four or five axes for a batch.
        batch = run_in_space(noise, x[None], drawn, dims=dims, affine=affine, generator=generator)
        return batch[0]
    if not noise.needs_spacing or affine is None:
        return noise.run(x, drawn, generator=generator)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if dims == 2:
        return noise.run(x, drawn, generator=generator, spacing=spacing[:2])
    axis = axial_axis(affine)
    order = [a for a in range(3) if a != axis] + [axis]
    axial = x.movedim(axis - 3, -1)
    noisy = noise.run(axial, drawn, generator=generator, spacing=spacing[order])
    return noisy.movedim(-1, axis - 3)
