from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from meddenoise.errors import ConfigError
from meddenoise.training import Engine, Noise2VoidTrainer
from meddenoise.training.memory_advice import memory_advice


@pytest.mark.parametrize(
    ("batch", "patch", "processes", "advice"),
    [
        (4, (64, 64, 32), 1, "give data.batch=2,"),
        (5, (64, 64, 32), 1, "give data.batch=2,"),
        (12, (64, 64), 4, "give data.batch=4,"),
        (4, (64, 64, 32), 4, "give data.patch=[32,64,32],"),
        (1, (32, 64, 32), 1, "give data.patch=[32,32,32],"),
        (1, (16, 24), 1, "take a smaller network"),
    ],
)
def test_what_takes_half(batch: int, patch: tuple[int, ...], processes: int, advice: str) -> None:
    told = memory_advice(batch, patch, processes=processes, step=0, directory=None)
    assert f" x {patch[-1]} voxels in step 1: {advice}" in told
    assert "checkpoint" not in told


class Greedy(Noise2VoidTrainer):
    """Has no memory in a step."""

    def __init__(self, at: int, fault: Exception) -> None:
        super().__init__(mask_percent=3.0, window=5)
        self.at, self.fault = at, fault

    def training_step(self, network: Any, batch: Any, draws: Any) -> Any:
        if draws.step == self.at:
            raise self.fault
        return super().training_step(network, batch, draws)


@pytest.mark.parametrize(
    "fault",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to"),
    ],
)
def test_a_step_without_memory_says_what_to_do(
    make: Callable[..., Engine], tmp_path: Path, fault: Exception
) -> None:
    with pytest.raises(ConfigError, match=r"4 patches of 8 x 8 voxels in step 8: .*data\.batch=2"):
        make(tmp_path, Greedy(7, fault)).run()
    saved = torch.load(tmp_path / "checkpoint/last.pt", weights_only=True)
    assert saved["step"] == 5
    with pytest.raises(ConfigError, match=f"The last checkpoint is kept in {tmp_path}"):
        make(tmp_path, Greedy(7, fault)).run(resume=True)


def test_another_fault_is_not_taken_for_it(make: Callable[..., Engine]) -> None:
    with pytest.raises(RuntimeError, match="of another kind"):
        make(trainer=Greedy(2, RuntimeError("of another kind"))).run()
