from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from meddenoise.config import TrainingConfig
from meddenoise.errors import ConfigError
from meddenoise.networks import build_network
from meddenoise.training import Engine, arithmetic
from meddenoise.training.arithmetic import Arithmetic, choose_arithmetic, quickest
from meddenoise.training.checkpoint import Checkpoint

Make = Callable[..., Engine]
CPU = torch.device("cpu")
SHAPE = (2, 1, 8, 8)


def chosen(network: torch.nn.Module | None = None, **settings: Any) -> Arithmetic:
    network = network or build_network("unet", dims=2, channels=[2, 3])
    return choose_arithmetic(TrainingConfig(**settings), CPU, network, SHAPE)


@pytest.fixture
def measures(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, but on this CPU."""
    monkeypatch.setattr(arithmetic, "_is_measured", lambda device: True)
    monkeypatch.setattr(arithmetic, "_known", {})


def timed(monkeypatch: pytest.MonkeyPatch, seconds: dict[tuple[str, str], float]) -> list[Any]:
    """What each candidate is found to take, and which were asked for."""
    asked: list[Any] = []

    def steps(each: Arithmetic, *rest: Any) -> Any:
        asked.append((each.precision, each.layout))
        return each

    monkeypatch.setattr(arithmetic, "_steps", steps)
    monkeypatch.setattr(
        arithmetic, "quickest", lambda each, share: seconds[each.precision, each.layout]
    )
    return asked


@pytest.mark.parametrize(("fast", "precision"), [(True, "bf16"), (False, "fp32")])
def test_a_cpu_goes_by_the_rule(
    monkeypatch: pytest.MonkeyPatch, fast: bool, precision: str
) -> None:
    monkeypatch.setattr(arithmetic, "has_fast_bf16", lambda device: fast)
    assert chosen() == Arithmetic(precision, "channels_last", "rule")
    assert chosen(layout="contiguous").layout == "contiguous"
    assert chosen(precision="fp32", layout="contiguous").by == "settings"


def test_the_quickest_is_taken_said_and_remembered(
    measures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arithmetic, "has_fast_bf16", lambda device: True)
    times = dict(
        zip(
            itertools.product(("bf16", "fp32"), ("contiguous", "channels_last")),
            (0.010, 0.020, 0.005, 0.030),
            strict=True,
        )
    )
    asked = timed(monkeypatch, times)
    with pytest.warns(UserWarning, match=r"fp32 contiguous 5\.00 ms, .*Taken: fp32, contiguous"):
        assert chosen() == Arithmetic("fp32", "contiguous", "measurement")
    assert sorted(asked) == sorted(times)
    assert chosen().by == "measurement"  # and says nothing a second time
    assert len(asked) == 4
    with pytest.warns(UserWarning, match="Taken: bf16"):
        assert chosen(precision="bf16").precision == "bf16"
    assert asked[4:] == [("bf16", "channels_last"), ("bf16", "contiguous")]


def test_a_gain_within_the_noise_is_none(measures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, {("fp32", "channels_last"): 1.0, ("fp32", "contiguous"): 0.98})
    with pytest.warns(UserWarning, match="Taken"):
        assert chosen(precision="fp32").layout == "channels_last"


def test_it_can_be_turned_off_and_several_processes_do_not_measure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = torch.device("cuda")
    assert arithmetic._is_measured(gpu)
    assert not arithmetic._is_measured(CPU)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not arithmetic._is_measured(gpu)
    monkeypatch.setattr(arithmetic, "_is_measured", lambda device: True)
    monkeypatch.setattr(arithmetic, "_measured", None)
    assert chosen(autotune=False).by == "rule"


def test_a_measurement_leaves_network_and_random_numbers_alone(measures: None) -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.BatchNorm2d(2), torch.nn.Dropout(0.5)
    )
    before = {key: value.clone() for key, value in network.state_dict().items()}
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match="Measured, a pass of 2 x 1 x 8 x 8"):
        chosen(network)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())


def test_where_there_is_no_memory_the_rule_holds(measures: None) -> None:
    class Greedy(torch.nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.warns(UserWarning, match="no memory to measure"):
        assert chosen(Greedy(1, 1, 1)).by == "rule"


def test_a_step_is_timed_after_some_that_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(arithmetic.time, "perf_counter", lambda: now[0])

    def steps(lengths: list[float]) -> Iterator[None]:
        for length in lengths:
            now[0] += length
            yield

    assert quickest(steps([0.01, 0.01, 0.3, 0.2, 0.3, 0.3, 0.3]), 9.0) == pytest.approx(0.2)
    assert quickest(steps([5.0]), 1.0) == pytest.approx(5.0)  # there is no time for another
    assert quickest(steps([0.5]), -1.0) == pytest.approx(0.5)


def test_a_resumed_run_keeps_what_was_chosen(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, precision="auto", steps=4).run()
    saved = Checkpoint.load(tmp_path / "checkpoint", CPU)
    assert saved is not None
    was = Arithmetic.from_dict(saved.arithmetic)
    other = "fp32" if was.precision == "bf16" else "bf16"
    monkeypatch.setattr(arithmetic, "has_fast_bf16", lambda device: other == "bf16")
    with pytest.raises(ConfigError, match=f"training.precision={was.precision} and training.lay"):
        make(tmp_path, precision="auto", steps=4).run(resume=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_is_measured_in_two_seconds() -> None:
    import time

    network = build_network("unet", dims=3)
    gpu = torch.device("cuda")
    torch.zeros(1, device=gpu)
    began = time.perf_counter()
    with pytest.warns(UserWarning, match="Measured"):
        found = choose_arithmetic(TrainingConfig(), gpu, network, (2, 1, 32, 32, 32))
    assert found.by == "measurement"
    assert time.perf_counter() - began < 4
