"""The engine's small parts: schedule, average, stop request, lock, checkpoint."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from meddenoise.errors import OutputError
from meddenoise.training.average import WeightAverage
from meddenoise.training.checkpoint import Checkpoint
from meddenoise.training.interrupt import StopRequest
from meddenoise.training.lock import run_lock
from meddenoise.training.schedule import ema_decay, learning_rate


def test_the_rate_rises_and_falls() -> None:
    rates = [learning_rate(k / 1000, peak=2.0, warmup=0.1) for k in range(1001)]
    assert max(rates) == pytest.approx(2.0)
    assert rates.index(max(rates)) == 100
    assert rates[50] == pytest.approx(1.0)
    assert rates[550] == pytest.approx(1.0)  # half of the cosine
    assert 0 < rates[0] < 0.05
    assert rates[-1] == pytest.approx(0, abs=1e-12)
    assert all(a <= b for a, b in pairwise(rates[:101]))
    assert all(a >= b for a, b in pairwise(rates[100:]))


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_the_rate_without_a_rise_or_without_a_fall(warmup: float) -> None:
    rates = [learning_rate(k / 10, peak=1.0, warmup=warmup) for k in range(11)]
    assert all(0 <= rate <= 1 for rate in rates)
    assert rates[0 if warmup == 0 else -1] == pytest.approx(1.0)


def test_the_average_forgets_faster_at_the_start() -> None:
    assert ema_decay(0, decay=0.99) == pytest.approx(0.1)
    assert ema_decay(10**6, decay=0.99) == 0.99


def test_the_average_is_a_copy_of_weights_and_buffers() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = WeightAverage(network)
    before = average.network[0].weight.clone()
    with torch.no_grad():
        network[0].weight.add_(1.0)
        network[1].running_mean.fill_(5.0)
    assert torch.equal(average.network[0].weight, before)
    average.update(network, 0.75)
    assert torch.allclose(average.network[0].weight, before + 0.25)
    assert average.network[1].running_mean.tolist() == [5.0, 5.0]
    assert not average.network.training
    assert not any(p.requires_grad for p in average.network.parameters())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_noted_and_the_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
    assert signal.getsignal(number) == before


def test_handlers_that_are_not_python_s_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    # As in a program that Python is a part of: such a handler could not be put back.
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    monkeypatch.setattr(signal, "signal", lambda *_: pytest.fail("it was replaced"))
    with StopRequest() as stop:
        assert not stop.requested


def test_the_echo_of_a_stop_is_not_a_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # torchrun passes on what the terminal said already
        assert stop.requested
        now = 102.0
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_outside_the_main_thread_there_are_no_handlers() -> None:
    asked: list[bool] = []

    def work() -> None:
        with StopRequest() as stop:
            asked.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [False]


HOLD = """
import sys, time
from pathlib import Path
from meddenoise.training.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_between_processes_and_dies_with_its_holder(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match="Another run is writing"), run_lock(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
    with run_lock(tmp_path):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_lock_in_a_read_only_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"), run_lock(tmp_path / "run"):
        pass


def checkpoint(step: int) -> Checkpoint:
    state = {"weight": torch.arange(3.0)}
    return Checkpoint(step, 1.5, state, state, {"state": {}}, None, {"loss": 0.5}, "settings")


def test_a_checkpoint_reads_back(tmp_path: Path) -> None:
    assert Checkpoint.load(tmp_path, torch.device("cpu")) is None
    checkpoint(7).save(tmp_path / "new")
    again = Checkpoint.load(tmp_path / "new", torch.device("cpu"))
    assert again is not None
    assert (again.step, again.seconds, again.validation) == (7, 1.5, {"loss": 0.5})
    assert again.network["weight"].tolist() == [0, 1, 2]


def test_a_checkpoint_that_cannot_be_written_keeps_the_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint(7).save(tmp_path)

    whole = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        whole(path, b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="disk is full"):
        checkpoint(8).save(tmp_path)
    monkeypatch.undo()
    kept = Checkpoint.load(tmp_path, torch.device("cpu"))
    assert kept is not None
    assert kept.step == 7
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
