"""StructN2V: Noise2Void for noise that is correlated along known directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.training.blind_spots import BlindSpots, draw_spots, ravel
from meddenoise.training.correlated import correlation_of
from meddenoise.training.noise2void import Noise2VoidTrainer
from meddenoise.training.trainer import register_trainer

__all__ = ["StructNoise2VoidTrainer", "hide_boxes"]


def hide_boxes(
    image: Tensor,
    draws: Draws,
    *,
    percent: float,
    extents: Sequence[int],
    radius: Tensor,
) -> BlindSpots:
    """Hide voxels together with the box of voxels around them that share their noise.

    Each voxel of the box, the hidden one among them, is replaced by a random one of the window
    around the hidden one that lies outside the box, so that nothing of the noise at the
    hidden voxel is left.

    Args:
        image: ``(B, 1, *patch)``; not changed.
        draws: random numbers.
        percent: share of voxels to replace, boxes and all.
        extents: of the box to each side of the hidden voxel, per axis; 0 where noise is
            independent.
        radius: ``(B, D)``, of the window; it grows to reach beyond the box.

    Returns:
        ``index`` is that of the boxes' centres.

    Raises:
        ParameterError: the patch is too small for the box.
    """
    shape, device = image.shape[2:], image.device
    along = [axis for axis, extent in enumerate(extents) if extent]
    if any(shape[axis] < 2 * extents[axis] + 2 for axis in along):
        raise ParameterError(
            f"Patches of {tuple(shape)} voxels have nothing outside of the {tuple(extents)} voxels "
            "to each side that trainer.extents hides: give larger data.patch."
        )
    size, extent = torch.tensor(shape, device=device), torch.tensor(extents, device=device)
    box = torch.cartesian_prod(*[torch.arange(-e, e + 1, device=device) for e in extents])
    box = box.view(-1, len(shape))
    spot = draw_spots(shape, draws, percent=percent / len(box))
    place = spot[:, :, None] + box  # (B, K, W, D)
    inside = ((place >= 0) & (place < size)).all(-1)

    reach = torch.maximum(radius.to(device), (extent + 1) * (extent > 0))[:, None]
    low = (spot - reach).clamp(min=0)
    high = torch.minimum(spot + reach, size - 1)
    count = (len(spot[0]), len(box))
    u = draws.uniform("replacements", *count, len(shape))
    source = low[:, :, None] + (u * (high - low + 1)[:, :, None]).long()
    # Along one of the axes it lies beyond the box, to the left or to the right.
    left = (spot - extent - low).clamp(min=0)
    right = (high - spot - extent).clamp(min=0)
    pick = (u * (left + right)[:, :, None]).long()
    beyond = torch.where(
        pick < left[:, :, None],
        low[:, :, None] + pick,
        (spot + extent + 1)[:, :, None] + pick - left[:, :, None],
    )
    chosen = torch.tensor(along, device=device)[draws.integers("axis", len(along), *count)]
    axes = torch.arange(len(shape), device=device)
    source = torch.where(chosen.unsqueeze(-1) == axes, beyond, source)

    flat = image.flatten(1)
    values = flat.gather(1, ravel(source, size.expand_as(source)).flatten(1))
    where = ravel(place, size.expand_as(place)).where(inside, -1).flatten(1)
    return BlindSpots(_put(flat, where, values).view_as(image), ravel(spot, size.expand_as(spot)))


def _put(flat: Tensor, where: Tensor, values: Tensor) -> Tensor:
    """``flat`` with values at places, -1 for none; of two at one place always the later."""
    order = torch.arange(where.shape[1], device=flat.device).expand_as(where)
    # One place more, for those that are nowhere.
    last = torch.full((len(flat), flat.shape[1] + 1), -1, device=flat.device)
    last = last.scatter_reduce(1, where.where(where >= 0, flat.shape[1]), order, "amax")[:, :-1]
    return torch.where(last >= 0, values.gather(1, last.clamp(min=0)), flat)


@register_trainer("struct_noise2void")
class StructNoise2VoidTrainer(Noise2VoidTrainer):
    """Broaddus et al., "Removing structured noise with self-supervised blind-spot networks", ISBI
    2020.

    As Noise2Void, but the neighbours that share a hidden voxel's noise are replaced with it, or
    the network would read the noise off them. Right for noise that is correlated over a few
    voxels along some axes and independent along others (zero-filled or interpolated planes,
    detector rows). Patches are mirrored but not turned, for turned noise is other noise.

    Where noise is independent, :class:`Noise2VoidTrainer` hides less and learns more.

    Args:
        extents: how many voxels to each side are hidden with a voxel, per axis, such as
            ``[2, 2, 0]``; ``"auto"`` measures how far the scans' noise is correlated, up to 3.
        mask_percent: share of voxels replaced in each patch, boxes and all.
        window: as for Noise2Void.
    """

    turns = False
    # The residual holds correlated noise, which restoring would take for structure and put back.
    blind = False

    def __init__(
        self,
        extents: Literal["auto"] | Sequence[int] = "auto",
        mask_percent: float = 10.0,
        window: int = 11,
    ) -> None:
        super().__init__(mask_percent, window)
        self.extents: tuple[int, ...] | None = None
        if not isinstance(extents, str):
            self.extents = tuple(extents)
            if min(self.extents, default=0) < 0 or not any(self.extents):
                raise ParameterError(
                    f"extents are whole numbers from 0 on, not all of them 0, not {list(extents)}: "
                    "for independent noise take noise2void."
                )
        given = "auto" if self.extents is None else list(self.extents)
        self.options = {"extents": given, "mask_percent": mask_percent, "window": window}
        self._found = self.extents

    def look_at(self, items: Sequence[Item]) -> None:
        """Measure the noise's reach, if nobody gave it."""
        dims = items[0].image.ndim
        if self.extents is not None:
            if len(self.extents) != dims:
                raise ConfigError(
                    f"trainer.extents has {len(self.extents)} numbers and data.patch {dims}: give "
                    "both the same."
                )
            return
        found = correlation_of(items)
        if found is None:
            raise ConfigError(
                "The scans are too small to tell along which axes their noise is correlated: give "
                "trainer.extents, such as [2, 0, 0]."
            )
        self._found = found.reach
        if not any(self._found):
            raise ConfigError(
                "The noise is independent between voxels as far as can be seen, so there is no "
                "direction to hide: take noise2void, or give trainer.extents."
            )

    def independent_axes(self, dims: int) -> tuple[int, ...]:
        """None: what shares its noise is hidden with it."""
        return ()

    def hide(self, batch: Batch, draws: Draws) -> BlindSpots:
        """The batch with some voxels hidden together with those that share their noise."""
        if self._found is None:
            raise ConfigError("extents 'auto' needs look_at() first; or give trainer.extents.")
        return hide_boxes(
            batch.image,
            draws,
            percent=self.mask_percent,
            extents=self._found,
            radius=self.radius(batch.spacing),
        )
