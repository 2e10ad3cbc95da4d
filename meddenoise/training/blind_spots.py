"""Voxels that are hidden from a network: which ones, and what stands in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from meddenoise.data.draws import Draws
from meddenoise.errors import ParameterError

__all__ = ["BlindSpots", "Replacement", "draw_spots", "hide_voxels", "ravel", "unravel"]

Replacement = Literal["uniform", "mean", "median"]


class BlindSpots:
    """Hidden voxels of a batch.

    Attributes:
        image: ``(B, 1, *patch)``, the input with K voxels a patch replaced.
        index: ``(B, K)`` int64, where they are in the flattened patch.
    """

    def __init__(self, image: Tensor, index: Tensor) -> None:
        self.image = image
        self.index = index

    def take(self, x: Tensor) -> Tensor:
        """``(B, K)``: the values of ``x`` at the hidden voxels."""
        return x.flatten(1).gather(1, self.index)


def draw_spots(shape: Sequence[int], draws: Draws, *, percent: float) -> Tensor:
    """A stratified random share of the voxels of each patch.

    One voxel in each cell of a grid with pitch (100 / percent)^(1/D), at a uniform place in the
    cell (Krull et al., "Noise2Void", CVPR 2019, section 4); cells are stretched by a voxel here
    and there to divide the patch, so that every patch hides the same number of different voxels.

    Args:
        shape: of the patch.
        draws: random numbers.
        percent: share of voxels, 0 to 100.

    Returns:
        ``(B, K, D)`` int64.
    """
    size = torch.tensor(shape, device=draws.device)
    pitch = (100 / percent) ** (1 / len(shape))
    cells = [max(1, round(n / pitch)) for n in shape]
    grid = torch.cartesian_prod(*[torch.arange(n, device=draws.device) for n in cells])
    # Cells begin at whole voxels, or a voxel on their border could be drawn twice.
    parts = torch.tensor(cells, device=draws.device)
    begin, end = grid * size // parts, (grid + 1) * size // parts
    return begin + (draws.uniform("blind spots", *grid.shape) * (end - begin)).long()


def hide_voxels(
    image: Tensor,
    draws: Draws,
    *,
    percent: float,
    radius: Sequence[int] | Tensor,
    replacement: Replacement = "uniform",
) -> BlindSpots:
    """Replace a stratified random share of voxels by what is near them.

    The window of ``2 * radius + 1`` voxels per axis is cut at the patch's border, and has no
    centre: ``"uniform"`` takes a random voxel of it, all with the same probability; ``"mean"``
    and ``"median"`` are of all of it, as it was before anything was hidden.

    Args:
        image: ``(B, 1, *patch)``; not changed.
        draws: random numbers.
        percent: share of voxels to hide, 0 to 100.
        radius: of the window, per axis; 0 leaves an axis out. ``(B, D)`` for a window a patch.
        replacement: what stands in the place of a hidden voxel.

    Raises:
        ParameterError: no voxel has another one in its window.
    """
    size = torch.tensor(image.shape[2:], device=image.device)
    reach = torch.as_tensor(radius, device=image.device).expand(len(image), len(size))
    if bool((torch.minimum(reach, size - 1) == 0).all(1).any()):
        raise ParameterError(
            f"Patches of {tuple(image.shape[2:])} voxels have no neighbours to hide a voxel with: "
            "give larger patches, or a wider trainer.window."
        )
    spot = draw_spots(image.shape[2:], draws, percent=percent)
    index = ravel(spot, size.expand_as(spot))
    flat = image.flatten(1)
    if replacement == "uniform":
        values = flat.gather(1, _any_other(spot, reach[:, None], size, draws))
    else:
        around, inside = _window(flat, spot, reach[:, None], size)
        values = (_mean if replacement == "mean" else _median)(around, inside)
    return BlindSpots(flat.scatter(1, index, values).view_as(image), index)


def _any_other(spot: Tensor, reach: Tensor, size: Tensor, draws: Draws) -> Tensor:
    """``(B, K)``: for each spot the index of a random other voxel of its window."""
    low = (spot - reach).clamp_(min=0)
    extent = torch.minimum(spot + reach, size - 1) - low + 1
    # The window's voxels in order, the centre taken out: uniform over all the others.
    others = extent.prod(-1) - 1
    pick = (draws.uniform("replacements", spot.shape[1]) * others).long()
    pick = pick + (pick >= ravel(spot - low, extent))
    return ravel(low + unravel(pick, extent), size.expand_as(spot))


def _window(flat: Tensor, spot: Tensor, reach: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """``(B, K, W)``: the values around each spot, and which of them are in its window."""
    widest = reach.amax((0, 1))
    offsets = torch.cartesian_prod(
        *[torch.arange(-r, r + 1, device=flat.device) for r in widest.tolist()]
    ).view(-1, len(size))
    inside = (offsets != 0).any(-1).expand(*spot.shape[:2], -1)
    index = torch.zeros_like(inside, dtype=torch.long)
    for axis, length in enumerate(size.tolist()):
        place = spot[..., axis, None] + offsets[:, axis]
        near = offsets[:, axis].abs() <= reach[..., axis, None]
        inside = inside & near & (place >= 0) & (place < length)
        index = index * length + place
    values = flat.gather(1, index.where(inside, 0).flatten(1)).view_as(index)
    return values, inside


def _mean(values: Tensor, inside: Tensor) -> Tensor:
    return (values * inside).sum(-1) / inside.sum(-1)


def _median(values: Tensor, inside: Tensor) -> Tensor:
    """Of an even number of values the mean of the middle two, or it would be biased."""
    ordered = values.where(inside, torch.inf).sort(-1).values
    count = inside.sum(-1, keepdim=True)
    middle = torch.cat([(count - 1) // 2, count // 2], dim=-1)
    return ordered.gather(-1, middle).mean(-1)


def ravel(place: Tensor, extent: Tensor) -> Tensor:
    """``(..., D)`` coordinates in boxes of that extent to row-major indices ``(...)``."""
    index = place[..., 0]
    for axis in range(1, place.shape[-1]):
        index = index * extent[..., axis] + place[..., axis]
    return index


def unravel(index: Tensor, extent: Tensor) -> Tensor:
    """The inverse of :func:`ravel`."""
    places = []
    for axis in range(extent.shape[-1] - 1, -1, -1):
        places.append(index % extent[..., axis])
        index = index // extent[..., axis]
    return torch.stack(places[::-1], dim=-1)
