"""Patches of procedural anatomy for a device that is quicker than one core makes them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from meddenoise.data.draws import Draws, generator
from meddenoise.data.patches import Batch
from meddenoise.data.synthetic.pool import Pool
from meddenoise.data.synthetic.sampler import SyntheticSampler
from meddenoise.errors import ParameterError

__all__ = ["Supply"]

# Portions that every worker makes ahead.
_AHEAD = 6


class Supply:
    """A :class:`SyntheticSampler` whose patches are made by processes, and used several times.

    The portion of patches that is new at a step stays for so many steps, turned otherwise at each;
    a batch has portions of all ages. Portions are a function of the sampler's seed and of their
    number, so a run that is resumed goes on with the same ones, as long as the number of workers is
    the same: each has anatomies of its own.

    Args:
        sampler: makes them, on a CPU.
        workers: processes that do; 0: this one.
        reuse: how many steps a patch is for.

    Raises:
        ParameterError: fewer than 0 workers, or than 1 step.
    """

    def __init__(self, sampler: SyntheticSampler, *, workers: int = 0, reuse: int = 1) -> None:
        if workers < 0 or reuse < 1:
            raise ParameterError("There are at least 0 workers, and patches for at least 1 step.")
        self.sampler, self.workers, self.reuse = sampler, workers, reuse
        self.patch: tuple[int, ...] = sampler.patch
        self.device = torch.device("cpu")
        self._portions: dict[int, Batch] = {}
        self._coming: Iterator[tuple[int, Batch]] | None = None

    @property
    def has_target(self) -> bool:
        """The truth is always known."""
        return True

    def cut_to(self, patch: Sequence[int]) -> Supply:
        """The same with patches of another size."""
        other = self.sampler.cut_to(patch)
        return Supply(other, workers=self.workers, reuse=self.reuse)

    def to(self, device: torch.device) -> Supply:
        """Bring batches to that device; they are made on the CPU wherever they go."""
        self.device = device
        return self

    def draw(self, draws: Draws) -> Batch:
        """One batch.

        Raises:
            ParameterError: the batch is no multiple of ``reuse``.
        """
        if isinstance(draws.step, str):  # a validation's
            return _moved(self.sampler.draw(replace(draws, device="cpu")), self.device)
        if draws.batch % self.reuse:
            raise ParameterError(
                f"A batch of {draws.batch} patches, each of which is for {self.reuse} steps, must "
                "be a multiple of that."
            )
        numbers = range(draws.step - self.reuse + 1, draws.step + 1)
        kept = {number: self._portions[number] for number in numbers if number in self._portions}
        for number in numbers:
            if number not in kept:
                kept[number] = _moved(self._portion(number, draws), self.device)
        self._portions = kept
        return _joined([self._turned(kept[number], number, draws.step) for number in numbers])

    def _portion(self, number: int, draws: Draws) -> Batch:
        """The next of the workers' portions, which come in order from the first asked for."""
        if self._coming is None:
            self._coming = self._started(number, draws)
        came, portion = next(self._coming)
        while came < number:
            came, portion = next(self._coming)
        if came > number:
            self._coming = None
            return self._portion(number, draws)
        return portion

    def _started(self, first: int, draws: Draws) -> Iterator[tuple[int, Batch]]:
        """All portions from that number on."""
        draws = replace(draws, batch=draws.batch // self.reuse, device="cpu")
        lanes = max(self.workers, 1)
        portions = _Portions(self.sampler, lanes, draws)
        # The loader goes round its workers; it starts where each gets a lane of its own.
        numbers = itertools.count(first - first % lanes)
        if not self.workers:
            return map(portions.__getitem__, numbers)
        loader: DataLoader[Any] = DataLoader(
            portions,
            batch_size=None,
            sampler=numbers,
            num_workers=self.workers,
            prefetch_factor=_AHEAD,
            # Else it would take a number from the global generator, which is not the run's.
            generator=generator(self.sampler.pool.seed, "workers"),
        )
        return iter(loader)

    def _turned(self, portion: Batch, number: int, step: int) -> Batch:
        """One of the mirror images of a portion, its axes in any order if they are as long."""
        if self.reuse == 1:
            return portion
        drawn = generator(self.sampler.pool.seed, step, "turn", number)
        dims = len(self.patch)
        order = list(range(dims))
        if len(set(self.patch)) == 1:
            order = torch.randperm(dims, generator=drawn).tolist()
        mirrored = torch.randint(2, (dims,), generator=drawn).tolist()
        axes = [0, 1, *(2 + axis for axis in order)]
        flipped = [2 + axis for axis in range(dims) if mirrored[axis]]

        def turn(x: Tensor) -> Tensor:
            return x.permute(axes).flip(flipped)

        assert portion.target is not None
        return replace(
            portion,
            image=turn(portion.image),
            target=turn(portion.target),
            spacing=portion.spacing[:, order],
        )


class _Portions(Dataset[tuple[int, Batch]]):
    """Portions by their number; those of a lane share its anatomies."""

    def __init__(self, sampler: SyntheticSampler, lanes: int, draws: Draws) -> None:
        self._sampler, self._lanes, self._draws = sampler, lanes, draws
        self._of_lane: dict[int, SyntheticSampler] = {}

    def __getitem__(self, number: int) -> tuple[int, Batch]:
        lane = number % self._lanes
        if lane not in self._of_lane:
            self._of_lane[lane] = self._alone(lane)
        draws = replace(self._draws, step=number)
        return number, self._of_lane[lane].draw(draws, place=number // self._lanes)

    def _alone(self, lane: int) -> SyntheticSampler:
        """The sampler with anatomies that no other lane has."""
        sampler, told = copy.copy(self._sampler), self._sampler.pool
        seed = generator(told.seed, "lane", lane).initial_seed() if lane else told.seed
        sampler.pool = Pool(seed, told.shape, size=told.size, every=told.every)
        return sampler


def _tensors(batch: Batch) -> dict[str, Any]:
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def _moved(batch: Batch, device: torch.device) -> Batch:
    return replace(batch, **{name: x.to(device) for name, x in _tensors(batch).items()})


def _joined(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    parts = [_tensors(batch) for batch in batches]
    joined: dict[str, Any] = {n: torch.cat([part[n] for part in parts]) for n in parts[0]}
    return replace(batches[0], **joined)
