"""Anatomies at hand: each is used for some steps and then gives way to a fresh one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from meddenoise.data.draws import generator
from meddenoise.data.synthetic.anatomy import Anatomy, make_anatomy

__all__ = ["Pool"]


class Pool:
    """A window over an endless row of anatomies, which moves on as a run proceeds.

    An anatomy is a function of the run's seed and of its place in the row, and the window one of
    the step: a run that is resumed finds what the uninterrupted one would have had.

    Args:
        seed: of the run.
        shape: voxels per axis of each anatomy.
        size: how many are at hand.
        every: steps after which the window moves on by one.
        device: where they are made and kept.
    """

    def __init__(
        self,
        seed: int,
        shape: Sequence[int],
        *,
        size: int = 24,
        every: int = 4,
        device: torch.device | str = "cpu",
    ) -> None:
        self.seed, self.shape, self.size, self.every = seed, tuple(shape), size, every
        self.device = device
        self._made: dict[int, Anatomy] = {}

    def at(self, step: int, which: int) -> Anatomy:
        """The anatomy in place ``which`` (0 to size - 1) of the window of that step."""
        first = step // self.every
        for gone in [number for number in self._made if not first <= number < first + self.size]:
            del self._made[gone]
        number = first + which
        if number not in self._made:
            drawn = generator(self.seed, "anatomy", number, device=self.device)
            self._made[number] = make_anatomy(self.shape, drawn)
        return self._made[number]
