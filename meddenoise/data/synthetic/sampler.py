"""Batches for training: parts of anatomies with a contrast, a scanner and noise of their own."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.data.synthetic.anatomy import Anatomy
from meddenoise.data.synthetic.contrast import ct_contrast, mr_contrast, paint
from meddenoise.data.synthetic.fields import uniform
from meddenoise.data.synthetic.noisy import KINDS, Pair
from meddenoise.data.synthetic.pool import Pool
from meddenoise.data.synthetic.scanner import blurred, resolved, shaded, thick_slices
from meddenoise.data.synthetic.tomography import reconstructed
from meddenoise.errors import ParameterError

__all__ = ["SyntheticSampler"]

# The place in the row of anatomies where those for validation begin; no run comes that far.
_HELD_OUT = 10**9
# In voxels of an anatomy. Wider ones were no better in trials.
_WIDEST = 1.8
# Of the patches in Hounsfield units, how many have the noise of filtered back-projection.
_BY_TOMOGRAPHY = 0.6
# An anatomy's size over a patch's, times the patch's, may come out above the anatomy's.
_ROUNDING = 1e-6


class SyntheticSampler:
    """Draws batches as :class:`meddenoise.data.patches.PatchSampler` does, from nothing.

    Images are in units of their noise's standard deviation, and some intensity within their range
    is zero: so is a user's scan when the network gets it.

    Args:
        patch: voxels per axis; two axes take planes out of the anatomies.
        seed: of the run.
        ct: the share of patches in Hounsfield units.
        low: the weakest noise, as a share of the range of intensities.
        high: the strongest.
        size: of the anatomies, in voxels along each axis.
        pool: how many anatomies are at hand.
        every: steps after which one gives way to a fresh one.

    Raises:
        ParameterError: a patch of another number of axes, or larger than an anatomy.
    """

    def __init__(
        self,
        patch: Sequence[int],
        *,
        seed: int = 0,
        ct: float = 0.25,
        low: float = 0.01,
        high: float = 0.3,
        size: int = 96,
        pool: int = 24,
        every: int = 4,
    ) -> None:
        if len(patch) not in (2, 3):
            raise ParameterError(f"A patch has 2 or 3 axes, not {len(patch)}.")
        if max(patch) > size:
            raise ParameterError(
                f"A patch of {' x '.join(map(str, patch))} voxels is larger than the anatomies, "
                f"which have {size} along each axis."
            )
        self.patch: tuple[int, ...] = tuple(patch)
        self.ct, self.low, self.high = ct, low, high
        self.pool = Pool(seed, (size,) * 3, size=pool, every=every)

    @property
    def has_target(self) -> bool:
        """The truth is always known."""
        return True

    def cut_to(self, patch: Sequence[int]) -> SyntheticSampler:
        """The same anatomies, in memory once, with patches of another size."""
        other = copy.copy(self)
        other.patch = tuple(patch)
        return other

    def to(self, device: torch.device) -> SyntheticSampler:
        """Make everything on that device."""
        self.pool.device = device
        return self

    def draw(self, draws: Draws, *, place: int | None = None) -> Batch:
        """One batch; the same draws give the same batch.

        Args:
            draws: where all numbers come from.
            place: in the row of anatomies, if not that of the step.
        """
        if place is None:
            place = draws.step if isinstance(draws.step, int) else _HELD_OUT * self.pool.every
        which = draws.integers("anatomy", self.pool.size).tolist()
        noisy, clean, references, spacings = [], [], [], []
        for row, generator in enumerate(draws.generators("patch")):
            anatomy = self.pool.at(place, which[row])
            image, reference, spacing, masked, across = self._clean(anatomy, generator)
            pair = _kind(generator, across)(image, generator)
            if masked and uniform(0, 1, generator) < 0.5:  # cut out after the noise came
                inside = image != 0
                pair = pair[0] * inside, pair[1] * inside
            zero = _zero(pair[1], generator)
            noisy.append(pair[0] - zero)
            clean.append(pair[1] - zero)
            references.append(reference)
            spacings.append(spacing)
        image, target = (torch.stack(parts)[:, None] for parts in (noisy, clean))
        column = (-1, 1, *[1] * len(self.patch))
        ranges = torch.tensor(references, device=image.device)
        return Batch(
            image=image,
            target=target,
            valid=None,
            shift=torch.zeros_like(ranges).view(column),
            scale=torch.ones_like(ranges).view(column),
            reference=ranges,
            spacing=torch.tensor(spacings, device=image.device),
            sigma=torch.ones_like(ranges),
            data_range=ranges,
        )

    def _clean(
        self, anatomy: Anatomy, generator: torch.Generator
    ) -> tuple[Tensor, float, list[float], bool, int | None]:
        """A patch in units of its noise, the range of intensities in them, and the voxel size.

        Last, whether all around the body is exactly 0, and of CT the axis across the slices.
        """
        dims = len(self.patch)
        is_ct = uniform(0, 1, generator) < self.ct
        thickness = _thickness(generator) if dims == 3 else 1
        order = torch.randperm(3, generator=generator, device=generator.device).tolist()
        axis = int(uniform(0, dims, generator))
        shape = [n * (thickness if a == axis else 1) for a, n in enumerate(self.patch)]
        wide = self._width(generator) if thickness == 1 else 1.0
        # In the plane, the third axis is one voxel thick.
        sizes = [math.ceil(n * wide - _ROUNDING) for n in shape] + [1] * (3 - dims)
        where: list[Tensor] = [torch.empty(0)] * 3
        for place, size in zip(order, sizes, strict=True):
            where[place] = _run(size, anatomy.shape[place], generator)
        contrast = (ct_contrast if is_ct else mr_contrast)(anatomy, generator)
        in_air = uniform(0, 1, generator) < 0.5
        image, body = paint(anatomy, contrast, where, in_air=in_air)
        image = image.permute(order)
        masked = in_air and not is_ct and uniform(0, 1, generator) < 0.5
        image = image.flatten(dims - 1) if dims == 2 else image
        if not is_ct and not masked:
            image = shaded(image, generator)
        if uniform(0, 1, generator) < 0.6:
            image = blurred(image, [uniform(0, 1.0, generator) for _ in range(dims)])
        body = body.permute(order).reshape(image.shape)
        if wide > 1:
            image = resolved(image, shape)
        if masked:  # cut out by a mask, whose rim is sharp
            inside = (resolved(body, shape) if wide > 1 else body) > 0.5
            image = torch.where(inside, shaded(image, generator), 0.0)
        image = thick_slices(image, axis, thickness)
        if is_ct:
            span, sigma = 1000.0, uniform(6, 80, generator, log=True)
        else:
            span = 1.0
            sigma = uniform(self.low, self.high, generator, log=True)
        spacing = [float(thickness) if a == axis else 1.0 for a in range(dims)]
        return image / sigma, span / sigma, spacing, masked, axis if is_ct else None

    def _width(self, generator: torch.Generator) -> float:
        """Of a voxel, in those of an anatomy, of which it sees a finer one then."""
        if uniform(0, 1, generator) < 0.5:
            return 1.0
        return min(uniform(1, _WIDEST, generator), min(self.pool.shape) / max(self.patch))


def _thickness(generator: torch.Generator) -> int:
    """Of slices, in voxels of an anatomy; mostly 1."""
    place = uniform(0, 1, generator)
    return 1 if place < 0.75 else 2 if place < 0.9 else 3


def _run(size: int, whole: int, generator: torch.Generator) -> Tensor:
    """Neighbouring indices, forwards or backwards; at the end they go on from the start."""
    device = generator.device
    start = int(torch.randint(whole, (), generator=generator, device=device))
    run = (torch.arange(size, device=device) + start) % whole
    return run.flip(0) if uniform(0, 1, generator) < 0.5 else run


def _kind(
    generator: torch.Generator, across: int | None
) -> Callable[[Tensor, torch.Generator], Pair]:
    """What makes the noise; ``across``: of CT the axis across the slices."""
    if across is not None and uniform(0, 1, generator) < _BY_TOMOGRAPHY:
        return partial(reconstructed, across=across)
    often = torch.tensor([share for _, share in KINDS], device=generator.device)
    return KINDS[int(torch.multinomial(often, 1, generator=generator))][0]


def _zero(clean: Tensor, generator: torch.Generator) -> float:
    """The intensity that is taken for zero: the mean, or any between the lowest and highest."""
    if uniform(0, 1, generator) < 0.5:
        return float(clean.mean())
    low, high = torch.aminmax(clean)
    return uniform(float(low), float(high), generator)
