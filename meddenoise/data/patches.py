"""Draws batches of patches from scans: which, where, and turned how.

Shapes: N scans, B patches a batch, D spatial axes.

Where the patches of a batch lie is drawn on the CPU, whatever device they go to: so it is the same
on every device, and nobody waits for one to say. :mod:`meddenoise.data.voxels` cuts them out.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from meddenoise.data.draws import Draws
from meddenoise.data.voxels import FlatVoxels, Patches, Places, ScatteredVoxels, Voxels
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
        in_place: leave the voxels where they are, for arrays that are mapped from files: nothing
            is copied but the patches, and those of the next step are fetched during this one. The
            patches are the same.

    Raises:
        ParameterError: no scans, or another number of axes than the patch.
    """

    def __init__(
        self,
        items: Sequence[Item],
        patch: Sequence[int],
        *,
        augment: str = "rotations",
        in_place: bool = False,
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
        parts = zip(*((item.image, item.target, item.valid) for item in items), strict=True)
        self._voxels: Voxels = ScatteredVoxels(*parts) if in_place else FlatVoxels(*parts)
        self._ahead = _Ahead() if in_place else None
        self._shapes = shapes
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
        """Make the batches on that device, and keep the voxels there if they fit."""
        self.device = device
        self._voxels = self._voxels.to(device)
        return self

    def cut_to(self, patch: Sequence[int]) -> PatchSampler:
        """The same scans, in memory once, with patches of another size.

        Raises:
            ParameterError: it does not fit into every scan.
        """
        size = torch.tensor(patch)
        if len(patch) != len(self.patch) or bool((size > self._shapes).any()):
            raise ParameterError(f"A patch of {tuple(patch)} voxels does not fit into every scan.")
        return self._like(patch=tuple(int(n) for n in patch))

    def unturned(self) -> PatchSampler:
        """The same scans, in memory once, with patches that are not turned or mirrored."""
        return self._like(_flips=False, _turns=False)

    def _like(self, **changes: Any) -> PatchSampler:
        """Another sampler of the same voxels."""
        other = copy.copy(self)
        vars(other).update(changes)
        other._orders = other._axis_orders()
        other._ahead = None if self._ahead is None else _Ahead()
        return other

    def _axis_orders(self) -> Tensor:
        return torch.tensor(_axis_orders(self.patch, self._spacings, turn=self._turns))

    @property
    def has_target(self) -> bool:
        """Whether the scans have clean partners."""
        return self._voxels.has_target

    def draw(self, draws: Draws) -> Batch:
        """One batch; the same draws give the same batch."""
        take = self._take if self._ahead is None else self._ahead.of(self._take)
        which, cut = take(replace(draws, device="cpu"))
        origins = self._origins and [self._origins[k] for k in which.tolist()]
        shift, scale, reference, data_range = self._there(self._numbers[which]).unbind(1)
        column = (-1, 1, *(1,) * len(self.patch))
        shift, scale = shift.view(column), scale.view(column)
        return Batch(
            image=(cut.image - shift) / scale,
            target=None if cut.target is None else (cut.target - shift) / scale,
            valid=cut.valid,
            shift=shift,
            scale=scale,
            reference=reference,
            spacing=self._there(self._spacing[which]),
            sigma=None if self._sigma is None else self._there(self._sigma[which]),
            origins=None if origins is None else tuple(origins),
            data_range=data_range,
        )

    def _there(self, numbers: Tensor) -> Tensor:
        return numbers.to(self.device, non_blocking=True)

    def _take(self, draws: Draws) -> tuple[Tensor, Patches]:
        """Which scan each patch is from, ``(B,)``, and its voxels."""
        places = self._where(draws)
        return places.which, self._voxels.take(places)

    def _where(self, draws: Draws) -> Places:
        dims = len(self.patch)
        which = torch.searchsorted(self._ends, draws.uniform("scan").double(), right=True)
        which = which.clamp_(max=len(self._ends) - 1)
        room = self._shapes[which] - torch.tensor(self.patch) + 1
        corner = (draws.uniform("corner", dims) * room).long()
        mirrored, turn = torch.zeros_like(corner), torch.zeros_like(which)
        if self._flips:
            mirrored = draws.integers("flip", 2, dims)
            turn = draws.integers("turn", len(self._orders))
        return Places(which, corner, mirrored, self._orders[turn], self.patch)


_Take = Callable[[Draws], "tuple[Tensor, Patches]"]


class _Ahead:
    """Fetches the patches of the next step in a thread of its own.

    Random numbers are a function of the step, so the next step's are known; and where voxels come
    from a disk, waiting for it then costs no time.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="patches")
        self._next: tuple[Draws, Future[tuple[Tensor, Patches]]] | None = None

    def of(self, take: _Take) -> _Take:
        """``take``, ahead of time where it can be."""

        def ahead(draws: Draws) -> tuple[Tensor, Patches]:
            if not isinstance(draws.step, int):  # validation: whatever is under way is still due
                return take(draws)
            waiting, self._next = self._next, None
            after = replace(draws, step=draws.step + 1)
            if waiting is not None and _same(waiting[0], draws):
                taken = waiting[1].result()
            else:
                taken = take(draws)
            self._next = after, self._thread.submit(take, after)
            return taken

        return ahead


def _same(one: Draws, other: Draws) -> bool:
    """Whether both draw the same places: the share of the run that is done says nothing of them."""
    return replace(one, progress=0.0) == replace(other, progress=0.0)


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
