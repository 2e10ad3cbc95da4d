"""Draws batches of patches from volumes held in memory, in one gather a batch.

Shapes: N volumes, B patches a batch, P voxels a patch, D spatial axes.

All volumes lie in one flat buffer. A patch is then a base index plus a multiple of a stride per
axis, and a flip or a quarter turn is a change of sign or order of the strides: cropping and
augmenting a whole batch is one ``take``, with no loop over patches.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from meddenoise.data.draws import Draws
from meddenoise.errors import ParameterError

__all__ = ["Batch", "Item", "PatchSampler", "Sampler"]


@dataclass(frozen=True)
class Item:
    """One scan in memory.

    Attributes:
        image: ``(*spatial)`` float32, in the scan's own units, finite.
        target: its clean partner, the same shape and units, or ``None``.
        shift: the normalisation, (x - shift) / scale.
        scale: see ``shift``.
        spacing: mm per axis.
        reference: intensity that percentages of noise levels refer to.
        valid: bool, the voxels that were measured; ``None`` if all were.
        sigma: the noise's standard deviation in the scan's units; ``None`` if nobody asked.
        origin: what the scan was before its noise was stabilised; ``None`` if nobody asks.
        data_range: 99.9th minus 0.1th percentile of the clean partner, or of the scan if there is
            none, in the scan's units.
    """

    image: Tensor
    target: Tensor | None
    shift: float
    scale: float
    spacing: tuple[float, ...]
    reference: float = 1.0
    valid: Tensor | None = None
    sigma: float | None = None
    origin: Any = None
    data_range: float = 1.0


@dataclass(frozen=True)
class Batch:
    """B patches.

    Attributes:
        image: ``(B, 1, *patch)`` float32, normalised.
        target: the same of the clean partner, or ``None``.
        valid: ``(B, 1, *patch)`` bool, or ``None`` if all voxels were measured.
        shift: ``(B, 1, ...)``, to return to the scan's units: x * scale + shift.
        scale: see ``shift``.
        reference: ``(B,)``, the 99.9th percentile of each patch's scan, in its units.
        spacing: ``(B, D)``, mm per axis of each patch's scan.
        sigma: ``(B,)``, standard deviation of the noise in each patch, in its scan's units;
            ``None`` if it is not known.
        origins: the :attr:`Item.origin` of each patch's scan; ``None`` if there are none.
        data_range: ``(B,)``, :attr:`Item.data_range` of each patch's scan.
    """

    image: Tensor
    target: Tensor | None
    valid: Tensor | None
    shift: Tensor
    scale: Tensor
    reference: Tensor
    spacing: Tensor
    sigma: Tensor | None = None
    origins: tuple[Any, ...] | None = None
    data_range: Tensor | None = None


class Sampler(Protocol):
    """Where batches come from: scans (:class:`PatchSampler`), or anything else."""

    patch: tuple[int, ...]
    """Voxels per axis."""

    @property
    def has_target(self) -> bool:
        """Whether there are clean partners."""

    def to(self, device: torch.device) -> Sampler:
        """Make the batches on that device."""

    def cut_to(self, patch: Sequence[int]) -> Sampler:
        """The same with patches of another size."""

    def draw(self, draws: Draws) -> Batch:
        """One batch; the same draws give the same batch."""


class PatchSampler:
    """Random patches of a list of scans.

    Args:
        items: the scans; a larger one is drawn from more often, by its voxels.
        patch: voxels per axis; where a scan is smaller, all patches shrink to fit it.
        augment: ``"none"``, ``"flips"`` (mirror images along each axis), or ``"rotations"``
            (also quarter turns in planes where every scan has equal spacing, and the patch
            equal sizes).

    Raises:
        ParameterError: no scans, or another number of axes than the patch.
    """

    def __init__(
        self,
        items: Sequence[Item],
        patch: Sequence[int],
        *,
        augment: str = "rotations",
    ) -> None:
        if not items:
            raise ParameterError("There is no scan to draw patches from.")
        dims = len(patch)
        for item in items:
            if item.image.ndim != dims:
                raise ParameterError(
                    f"The scan has {item.image.ndim} axes and the patch {dims}: "
                    f"give data.patch {item.image.ndim} numbers."
                )
        shapes = torch.tensor([item.image.shape for item in items])
        self.patch = tuple(int(min(p, s)) for p, s in zip(patch, shapes.amin(0), strict=True))
        self.device = torch.device("cpu")
        self._image = torch.cat([item.image.reshape(-1) for item in items])
        self._target = _flat([item.target for item in items])
        self._valid = _flat_masks(items)
        self._shapes = shapes
        self._starts = _exclusive_sum(shapes.prod(1))
        self._ends = shapes.prod(1).cumsum(0).double() / shapes.prod(1).sum()
        self._flips, self._turns = augment != "none", augment == "rotations"
        self._spacings = {item.spacing for item in items}
        self._orders = self._axis_orders()
        self._spacing = torch.tensor([item.spacing for item in items], dtype=torch.float32)
        levels = [item.sigma for item in items if item.sigma is not None]
        self._sigma = torch.tensor(levels) if len(levels) == len(items) else None
        origins = [item.origin for item in items]
        self._origins = None if any(origin is None for origin in origins) else origins
        self._numbers = torch.tensor(
            [(item.shift, item.scale, item.reference, item.data_range) for item in items],
            dtype=torch.float32,
        )

    def to(self, device: torch.device) -> PatchSampler:
        """Keep the voxels, and make the batches, on that device."""
        self.device = device
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))
        return self

    def cut_to(self, patch: Sequence[int]) -> PatchSampler:
        """The same scans, in memory once, with patches of another size.

        Raises:
            ParameterError: it does not fit into every scan.
        """
        size = torch.tensor(patch, device=self._shapes.device)
        if len(patch) != len(self.patch) or bool((size > self._shapes).any()):
            raise ParameterError(f"A patch of {tuple(patch)} voxels does not fit into every scan.")
        other = copy.copy(self)
        other.patch = tuple(int(n) for n in patch)
        other._orders = other._axis_orders().to(self._orders.device)
        return other

    def _axis_orders(self) -> Tensor:
        return torch.tensor(_axis_orders(self.patch, self._spacings, turn=self._turns))

    @property
    def has_target(self) -> bool:
        """Whether the scans have clean partners."""
        return self._target is not None

    def draw(self, draws: Draws) -> Batch:
        """One batch; the same draws give the same batch."""
        which, index = self._where(draws)
        origins = self._origins and [self._origins[k] for k in which.tolist()]
        shift, scale, reference, data_range = self._numbers[which].unbind(1)
        column = (-1, 1, *(1,) * len(self.patch))
        shift, scale = shift.view(column), scale.view(column)
        image = (self._image[index] - shift) / scale
        return Batch(
            image=image,
            target=None if self._target is None else (self._target[index] - shift) / scale,
            valid=None if self._valid is None else self._valid[index],
            shift=shift,
            scale=scale,
            reference=reference,
            spacing=self._spacing[which],
            sigma=None if self._sigma is None else self._sigma[which],
            origins=None if origins is None else tuple(origins),
            data_range=data_range,
        )

    def _where(self, draws: Draws) -> tuple[Tensor, Tensor]:
        """Which scan each patch is from, ``(B,)``, and its voxels in the buffer, ``(B, 1, *P)``."""
        dims = len(self.patch)
        which = torch.searchsorted(self._ends, draws.uniform("scan").double(), right=True)
        which = which.clamp_(max=len(self._ends) - 1)
        shape = self._shapes[which]
        # Row-major strides of each patch's scan.
        strides = torch.ones_like(shape)
        for axis in range(dims - 2, -1, -1):
            strides[:, axis] = strides[:, axis + 1] * shape[:, axis + 1]
        room = shape - torch.tensor(self.patch, device=self.device) + 1
        corner = (draws.uniform("corner", dims) * room).long()
        base = self._starts[which] + (corner * strides).sum(1)
        if self._flips:
            mirrored = draws.integers("flip", 2, dims)
            last = torch.tensor(self.patch, device=self.device) - 1
            base = base + (mirrored * last * strides).sum(1)
            strides = strides * (1 - 2 * mirrored)
            order = self._orders[draws.integers("turn", len(self._orders))]
            strides = strides.gather(1, order)
        index = base.view(-1, *(1,) * dims)
        for axis, size in enumerate(self.patch):
            steps = torch.arange(size, device=self.device) * strides[:, axis, None]
            index = index + steps.view(-1, *(size if a == axis else 1 for a in range(dims)))
        return which, index.unsqueeze(1)


def _exclusive_sum(sizes: Tensor) -> Tensor:
    return sizes.cumsum(0) - sizes


def _flat(parts: Sequence[Tensor | None]) -> Tensor | None:
    """All parts one after the other; ``None`` if there are none."""
    given = [part for part in parts if part is not None]
    if not given:
        return None
    if len(given) != len(parts):
        raise ParameterError("Either every scan has a clean partner or none has.")
    return torch.cat([part.reshape(-1) for part in given])


def _flat_masks(items: Sequence[Item]) -> Tensor | None:
    if all(item.valid is None for item in items):
        return None
    masks = [
        torch.ones(item.image.shape, dtype=torch.bool) if item.valid is None else item.valid
        for item in items
    ]
    return _flat(masks)


def _axis_orders(
    patch: Sequence[int], spacings: Collection[Sequence[float]], *, turn: bool
) -> list[tuple[int, ...]]:
    """The orders of axes that leave patch and voxel size as they are; the given one first."""
    axes = range(len(patch))
    orders = [tuple(axes)]
    if turn:
        orders += [
            order
            for order in itertools.permutations(axes)
            if order != tuple(axes)
            and all(
                patch[a] == patch[b]
                and all(abs(size[a] - size[b]) <= 0.05 * size[a] for size in spacings)
                for a, b in zip(axes, order, strict=True)
            )
        ]
    return orders
