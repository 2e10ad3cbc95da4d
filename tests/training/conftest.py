from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from meddenoise.config import TrainingConfig
from meddenoise.data.patches import Item, PatchSampler
from meddenoise.networks import build_network
from meddenoise.training import Engine, Noise2VoidTrainer, Trainer

Make = Callable[..., Engine]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Networks of a few weights lose more to the meeting of threads than they gain by them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def sampler(*, target: bool = False) -> PatchSampler:
    """Two small noisy images with their clean partners."""
    generator = torch.Generator().manual_seed(0)
    items = []
    for size in (24, 20):
        clean = torch.linspace(0, 100, size)[:, None] + torch.linspace(0, 50, 22)
        noisy = clean + 10 * torch.randn(clean.shape, generator=generator)
        items.append(Item(noisy, clean if target else None, 75.0, 40.0, (1.0, 1.0), 150.0))
    return PatchSampler(items, (8, 8))


@pytest.fixture
def make() -> Make:
    """Makes an engine for a tiny run; two calls with equal arguments make equal runs."""

    def build(
        directory: Path | None = None,
        trainer: Trainer | None = None,
        *,
        target: bool = False,
        network: torch.nn.Module | None = None,
        batch: int = 4,
        seed: int = 0,
        patch_from: Sequence[int] | None = None,
        **settings: Any,
    ) -> Engine:
        torch.manual_seed(0)
        options = {
            "steps": 12,
            "learning_rate": 1e-2,
            "validate_every": 4,
            "validate_batches": 2,
            "checkpoint_every": 5,
            "trackers": [],
            **settings,
        }
        return Engine(
            trainer or Noise2VoidTrainer(mask_percent=3.0, window=5),
            network or build_network("unet", dims=2, channels=[3, 4], residual=True),
            sampler(target=target),
            val=sampler(target=target),
            settings=TrainingConfig(**options),
            batch=batch,
            patch_from=patch_from,
            seed=seed,
            directory=directory,
            device="cpu",
            progress=False,
        )

    return build
