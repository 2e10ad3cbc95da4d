"""Random numbers that are a function of (seed, step, rank) and of nothing else.

A run that was killed and resumed draws what the uninterrupted run would have drawn, without
any saved generator state; and several processes together draw what one process with the same
global batch would have drawn, because each draws for the whole batch and keeps its own rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Draws", "generator", "seeded"]


def generator(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator whose seed is a hash of ``key``: equal keys, equal numbers."""
    # int(): NumPy's whole numbers print otherwise, and are the same key.
    plain = tuple(part if isinstance(part, str) else int(part) for part in key)
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=8).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest, "big") >> 1)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within it, what takes no generator (a network's first weights) draws as the seed says.

    At the end the CPU's global generator is as it was. Those of GPUs are never touched, as
    ``torch.manual_seed`` would: networks are made on the CPU, and a caller's own draws go on.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@dataclass(frozen=True)
class Draws:
    """The random numbers of one step on one process.

    Each method takes a ``tag`` that names what the numbers are for: two tags never share a
    stream, so adding a draw does not shift the others.

    Attributes:
        seed: of the run.
        step: the step, or a name such as ``"validation 3"``.
        batch: how many samples this process handles.
        rank: which of the processes this is.
        world: how many processes there are.
        device: where tensors are made.
        progress: the share of the run that is done, 0 to 1, for what changes in its course.
    """

    seed: int
    step: int | str
    batch: int
    rank: int = 0
    world: int = 1
    device: torch.device | str = "cpu"
    progress: float = 0.0

    def _rows(self, whole: Tensor) -> Tensor:
        return whole[self.rank * self.batch : (self.rank + 1) * self.batch]

    def _generator(self, tag: str) -> torch.Generator:
        return generator(self.seed, self.step, tag, device=self.device)

    @contextmanager
    def seeded(self) -> Iterator[None]:
        """Within it, what takes no generator (a network's dropout) is a function of the step, too.

        Other on each process. At the end the global generators are as they were.
        """
        seed = generator(self.seed, self.step, "network", self.rank).initial_seed()
        device = torch.device(self.device)
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.default_generator.manual_seed(seed)
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
            yield

    def uniform(self, tag: str, *shape: int) -> Tensor:
        """``(batch, *shape)`` float32, uniform on [0, 1)."""
        size = (self.batch * self.world, *shape)
        return self._rows(torch.rand(size, generator=self._generator(tag), device=self.device))

    def normal(self, tag: str, *shape: int) -> Tensor:
        """``(batch, *shape)`` float32, standard normal."""
        size = (self.batch * self.world, *shape)
        return self._rows(torch.randn(size, generator=self._generator(tag), device=self.device))

    def integers(self, tag: str, high: int, *shape: int) -> Tensor:
        """``(batch, *shape)`` int64, uniform on 0 .. high - 1."""
        size = (self.batch * self.world, *shape)
        return self._rows(
            torch.randint(high, size, generator=self._generator(tag), device=self.device)
        )

    def generators(self, tag: str) -> list[torch.Generator]:
        """A generator for each sample of this process, for draws of unknown number."""
        first = self.rank * self.batch
        return [
            generator(self.seed, self.step, tag, first + row, device=self.device)
            for row in range(self.batch)
        ]
