"""Where the voxels of a run lie, and how a batch of patches is cut out of them.

Shapes: N scans, B patches a batch, P voxels a patch, D spatial axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from meddenoise.errors import ParameterError

__all__ = ["FlatVoxels", "Patches", "Places", "ScatteredVoxels", "Voxels"]

# A cohort may take that share of a GPU's free memory: the network needs the rest.
_SHARE = 0.5


@dataclass(frozen=True)
class Places:
    """Where B patches lie, and how they are turned: tensors on the CPU.

    Attributes:
        which: ``(B,)`` int64, the scan of each.
        corner: ``(B, D)`` int64, its first voxel along each of the scan's axes.
        mirrored: ``(B, D)`` int64, 1 where an axis of the scan is mirrored.
        order: ``(B, D)`` int64, the scan's axis that each of the patch's axes is.
        patch: voxels along each axis, of the scan's as of the patch's.
    """

    which: Tensor
    corner: Tensor
    mirrored: Tensor
    order: Tensor
    patch: tuple[int, ...]


@dataclass(frozen=True)
class Patches:
    """Each ``(B, 1, *P)``: image and target in the scans' units, and which voxels were measured."""

    image: Tensor
    target: Tensor | None
    valid: Tensor | None


class Voxels(Protocol):
    """Holds the voxels of all scans."""

    has_target: bool

    def to(self, device: torch.device) -> Voxels:
        """Give patches on that device."""

    def take(self, places: Places) -> Patches:
        """Cut out a batch."""


class FlatVoxels:
    """All scans in one buffer: a batch is one gather, with no loop over patches.

    A patch is a base index plus a multiple of a stride per axis, and a flip or a quarter turn is a
    change of sign or order of the strides.

    Args:
        images: N of ``(*spatial)`` float32.
        targets: the same, or N times ``None``.
        masks: N of bool or ``None``.
    """

    def __init__(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Tensor | None],
        masks: Sequence[Tensor | None],
    ) -> None:
        self.shapes = torch.tensor([image.shape for image in images])
        sizes = self.shapes.prod(1)
        self._starts = sizes.cumsum(0) - sizes
        self._image = _in_a_row(images)
        self._target = _flat(targets)
        self._valid = _flat(_whole_masks(images, masks))
        self.has_target = self._target is not None
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> FlatVoxels:
        """The voxels move to the device, if it is a CPU or they leave half of its memory free."""
        self.device = device
        held = [x for x in (self._image, self._target, self._valid) if x is not None]
        if _fit(device, sum(x.nbytes for x in held)):
            self._image = self._image.to(device)
            self._target = None if self._target is None else self._target.to(device)
            self._valid = None if self._valid is None else self._valid.to(device)
        return self

    def take(self, places: Places) -> Patches:
        """Cut out a batch."""
        index = self._index(places)

        def cut(buffer: Tensor | None) -> Tensor | None:
            return None if buffer is None else buffer[index].to(self.device, non_blocking=True)

        image = cut(self._image)
        assert image is not None
        return Patches(image, cut(self._target), cut(self._valid))

    def _index(self, places: Places) -> Tensor:
        """``(B, 1, *P)`` int64: each voxel's place in the buffer."""
        dims, shape = len(places.patch), self.shapes[places.which]
        # Row-major strides of each patch's scan.
        strides = torch.ones_like(shape)
        for axis in range(dims - 2, -1, -1):
            strides[:, axis] = strides[:, axis + 1] * shape[:, axis + 1]
        base = self._starts[places.which] + (places.corner * strides).sum(1)
        base = base + (places.mirrored * (torch.tensor(places.patch) - 1) * strides).sum(1)
        strides = (strides * (1 - 2 * places.mirrored)).gather(1, places.order)
        there = self._image.device
        base, strides = (x.to(there, non_blocking=True) for x in (base, strides))
        index = base.view(-1, *(1,) * dims)
        for axis, size in enumerate(places.patch):
            steps = torch.arange(size, device=there) * strides[:, axis, None]
            index = index + steps.view(-1, *(size if a == axis else 1 for a in range(dims)))
        return index.unsqueeze(1)


class ScatteredVoxels:
    """Scans where they are, copied nowhere: for arrays that are mapped from files.

    A patch is a slice of its scan, so that only its own rows are read.

    Args:
        images: N of ``(*spatial)`` float32.
        targets: the same, or N times ``None``.
        masks: N of bool or ``None``.
    """

    def __init__(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Tensor | None],
        masks: Sequence[Tensor | None],
    ) -> None:
        given = _all_or_none(targets)
        self._images = [image.numpy() for image in images]
        self._targets = None if given is None else [target.numpy() for target in given]
        self._masks = [None if mask is None else mask.numpy() for mask in masks]
        self._masked = any(mask is not None for mask in masks)
        self.has_target = given is not None
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> ScatteredVoxels:
        """The voxels stay; patches are sent to the device."""
        self.device = device
        return self

    def take(self, places: Places) -> Patches:
        """Cut out a batch."""
        pinned = self.device.type == "cuda"
        size = (len(places.which), 1, *places.patch)
        image = torch.empty(size, pin_memory=pinned)
        target = None if self._targets is None else torch.empty(size, pin_memory=pinned)
        valid = torch.ones(size, dtype=torch.bool) if self._masked else None
        rows = zip(
            *(x.tolist() for x in (places.which, places.corner, places.mirrored, places.order)),
            strict=True,
        )
        for row, (scan, corner, mirrored, order) in enumerate(rows):
            cut = tuple(
                _run(first, length, backwards)
                for first, length, backwards in zip(corner, places.patch, mirrored, strict=True)
            )
            np.copyto(image[row, 0].numpy(), self._images[scan][cut].transpose(order))
            if target is not None and self._targets is not None:
                np.copyto(target[row, 0].numpy(), self._targets[scan][cut].transpose(order))
            mask = self._masks[scan]
            if valid is not None and mask is not None:
                np.copyto(valid[row, 0].numpy(), mask[cut].transpose(order))
        sent = (x if x is None else x.to(self.device, non_blocking=True) for x in (target, valid))
        return Patches(image.to(self.device, non_blocking=True), *sent)


def _run(first: int, length: int, backwards: int) -> slice:
    if not backwards:
        return slice(first, first + length)
    return slice(first + length - 1, first - 1 if first else None, -1)


def _fit(device: torch.device, size: int) -> bool:
    """Whether so many bytes may move to a device."""
    if device.type != "cuda":
        return True
    return size <= _SHARE * torch.cuda.mem_get_info(device)[0]


def _all_or_none(parts: Sequence[Tensor | None]) -> list[Tensor] | None:
    given = [part for part in parts if part is not None]
    if given and len(given) != len(parts):
        raise ParameterError("Either every scan has a clean partner or none has.")
    return given or None


def _flat(parts: Sequence[Tensor | None]) -> Tensor | None:
    """All parts one after the other; ``None`` if there are none."""
    given = _all_or_none(parts)
    return None if given is None else _in_a_row(given)


def _in_a_row(parts: Sequence[Tensor]) -> Tensor:
    """All voxels one after the other; of a single scan they are not copied."""
    flat = [part.reshape(-1) for part in parts]
    return flat[0] if len(flat) == 1 else torch.cat(flat)


def _whole_masks(
    images: Sequence[Tensor], masks: Sequence[Tensor | None]
) -> Sequence[Tensor | None]:
    """A mask for every scan, if any has one."""
    if all(mask is None for mask in masks):
        return masks
    return [
        torch.ones(image.shape, dtype=torch.bool) if mask is None else mask
        for image, mask in zip(images, masks, strict=True)
    ]
