"""Noise2Void: learn from one noisy scan by predicting voxels that are hidden from the network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ParameterError
from meddenoise.training.trainer import Trainer, register_trainer

__all__ = ["BlindSpots", "Noise2VoidTrainer", "hide_voxels"]


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


def hide_voxels(
    image: Tensor, draws: Draws, *, percent: float, radius: Sequence[int] | Tensor
) -> BlindSpots:
    """Replace a stratified random share of voxels, each by a random other one near it.

    One voxel in each cell of a grid with pitch (100 / percent)^(1/D), at a uniform place in the
    cell (Krull et al., "Noise2Void", CVPR 2019, section 4); cells are stretched by a voxel here
    and there to divide the patch, so that every patch hides the same number of different
    voxels. The replacement is uniform
    over the window of ``2 * radius + 1`` voxels per axis, cut at the patch's border, without
    its centre.

    Args:
        image: ``(B, 1, *patch)``; not changed.
        draws: random numbers.
        percent: share of voxels to hide, 0 to 100.
        radius: of the window, per axis; 0 leaves an axis out. ``(B, D)`` for a window a patch.

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
    pitch = (100 / percent) ** (1 / len(size))
    cells = [max(1, round(n / pitch)) for n in image.shape[2:]]
    grid = torch.cartesian_prod(*[torch.arange(n, device=image.device) for n in cells])
    # Cells begin at whole voxels, or a voxel on their border could be hidden twice.
    parts = torch.tensor(cells, device=image.device)
    begin, end = grid * size // parts, (grid + 1) * size // parts
    spot = begin + (draws.uniform("blind spots", *grid.shape) * (end - begin)).long()  # (B, K, D)

    reach = reach[:, None]  # one window for all the voxels of a patch
    low = (spot - reach).clamp_(min=0)
    extent = torch.minimum(spot + reach, size - 1) - low + 1
    # The window's voxels in order, the centre taken out: uniform over all the others.
    others = extent.prod(-1) - 1
    pick = (draws.uniform("replacements", len(grid)) * others).long()
    pick = pick + (pick >= _ravel(spot - low, extent))
    source = low + _unravel(pick, extent)

    whole = size.expand_as(spot)
    index = _ravel(spot, whole)
    flat = image.flatten(1)
    hidden = flat.scatter(1, index, flat.gather(1, _ravel(source, whole)))
    return BlindSpots(hidden.view_as(image), index)


def _ravel(place: Tensor, extent: Tensor) -> Tensor:
    """``(..., D)`` coordinates in boxes of that extent to row-major indices ``(...)``."""
    index = place[..., 0]
    for axis in range(1, place.shape[-1]):
        index = index * extent[..., axis] + place[..., axis]
    return index


def _unravel(index: Tensor, extent: Tensor) -> Tensor:
    """The inverse of :func:`_ravel`."""
    places = []
    for axis in range(extent.shape[-1] - 1, -1, -1):
        places.append(index % extent[..., axis])
        index = index // extent[..., axis]
    return torch.stack(places[::-1], dim=-1)


@register_trainer("noise2void")
class Noise2VoidTrainer(Trainer):
    """Mean squared error at hidden voxels (Krull et al., CVPR 2019, equation 10).

    Right for noise that is independent from voxel to voxel with zero mean. Where noise is
    correlated (interpolated, zero-filled or CT data), the network learns to keep it.

    Args:
        mask_percent: share of voxels hidden in each patch. The paper hides 64 in 64 x 64
            (1.6 %), published 3-D settings 0.2 %. In 3-D a hidden voxel has so many visible
            neighbours that 3 % costs nothing and every step learns from more voxels.
        window: width of the replacement window in voxels along the finest axis. On other axes
            it covers the same millimetres, so that a thick slice is not taken for a neighbour.
    """

    blind = True

    def __init__(self, mask_percent: float = 3.0, window: int = 11) -> None:
        if not 0 < mask_percent <= 25:
            raise ParameterError(f"mask_percent is above 0 and at most 25, not {mask_percent}.")
        if window < 3 or window % 2 == 0:
            raise ParameterError(f"window is an odd number of at least 3 voxels, not {window}.")
        self.mask_percent = mask_percent
        self.window = window
        self.options = {"mask_percent": mask_percent, "window": window}

    def radius(self, spacing: Tensor) -> Tensor:
        """The window's half-width ``(B, D)`` in voxels, for voxels of ``(B, D)`` mm."""
        reach = (self.window // 2) * spacing.amin(1, keepdim=True)
        return (reach / spacing + 1e-4).floor().long()

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error between prediction and input where the input was hidden."""
        spots = hide_voxels(
            batch.image, draws, percent=self.mask_percent, radius=self.radius(batch.spacing)
        )
        error = (spots.take(network(spots.image)).float() - spots.take(batch.image)).square()
        if batch.valid is None:
            return error.mean(), {}
        # A mean over all, not over the measured ones: so it is the mean over processes, too.
        return (error * spots.take(batch.valid)).mean(), {}
