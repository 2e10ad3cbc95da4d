from __future__ import annotations

import os
import signal
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from meddenoise.errors import ConfigError
from meddenoise.workflows.tune_workers import share_out, watching


class Study:
    """A study whose trials are what it is told."""

    def __init__(self) -> None:
        self.trials: list[Any] = []

    def add(self, state: str, value: float | None = None, **attrs: str) -> None:
        named = SimpleNamespace(name=state.upper(), is_finished=lambda: state != "running")
        self.trials.append(
            SimpleNamespace(number=len(self.trials), state=named, value=value, user_attrs=attrs)
        )

    def get_trials(self, deepcopy: bool) -> list[Any]:
        return self.trials


def test_each_trial_that_ends_is_told_of_once() -> None:
    study, said = Study(), []
    study.add("complete", 1.0)  # of an earlier call
    watch = watching(study, "psnr", said.append)
    study.add("complete", 20.125)
    study.add("pruned")
    study.add("fail", fault="no memory")
    study.add("running")
    watch()
    watch()
    assert said == ["trial 1: psnr 20.12", "trial 2 was stopped early", "trial 3 failed: no memory"]
    watching(study, "psnr", None)()


def shares(trials: int, seeds: tuple[int, ...]) -> str:
    # As a module of the package would, whose warnings are told of.
    warnings.warn_explicit(f"{trials} of {seeds}", UserWarning, "f.py", 1, module="meddenoise.f")
    warnings.warn("of another library", stacklevel=1)
    return "" if seeds[-1] else "the first failed"


def test_shares_warnings_and_faults_come_back() -> None:
    seen: list[int] = []
    with pytest.warns(UserWarning, match=" of ") as heard:
        why = share_out(shares, 3, 2, (7, 5), lambda: seen.append(1))
    assert why == "the first failed"
    assert [str(one.message) for one in heard] == ["2 of (7, 5, 0)", "1 of (7, 5, 1)"]
    assert seen


def killed(trials: int, seeds: tuple[int, ...]) -> str:
    if seeds[-1]:
        return ""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL")
def test_a_process_that_is_killed_is_told_of_and_the_others_go_on() -> None:
    with pytest.warns(UserWarning, match=r"killed \(1 of 2\).* memory.*fewer --workers"):
        assert share_out(killed, 2, 2, (7, 5), lambda: None) == ""


def faulty(trials: int, seeds: tuple[int, ...]) -> str:
    raise ConfigError("No such key.")


def test_a_fault_in_a_process_is_raised_here() -> None:
    with pytest.raises(ConfigError, match=r"^No such key\.$"):
        share_out(faulty, 2, 2, (7, 5), lambda: None)


def endless(trials: int, seeds: tuple[int, ...]) -> str:
    place = Path(os.environ["PLACE"])
    (place / str(seeds[-1])).touch()
    try:
        time.sleep(600)
    finally:
        (place / f"{seeds[-1]} unwound").touch()
    return ""


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without a word")
def test_what_stops_the_call_stops_its_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", str(tmp_path))

    def watch() -> None:
        if len([*tmp_path.iterdir()]) == 2:
            raise SystemExit(143)  # as after SIGTERM, which is sent to one process only

    with pytest.raises(SystemExit):
        share_out(endless, 2, 2, (7, 5), watch)
    assert {path.name for path in tmp_path.glob("* unwound")} == {"0 unwound", "1 unwound"}
