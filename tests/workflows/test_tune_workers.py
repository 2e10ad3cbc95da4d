from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from meddenoise.errors import ConfigError, MeddenoiseError
from meddenoise.training.engine import Interrupted
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


def stopped(trials: int, seeds: tuple[int, ...]) -> str:
    if seeds[-1]:
        return ""
    raise Interrupted("Stopped at step 7: as training does after SIGTERM.")


def test_a_process_that_is_stopped_while_it_trains_is_told_of_too() -> None:
    with pytest.warns(UserWarning, match=r"were stopped \(1 of 2\)"):
        assert share_out(stopped, 2, 2, (7, 5), lambda: None) == ""


def ended(trials: int, seeds: tuple[int, ...]) -> str:
    raise SystemExit(3)


def test_a_process_that_ends_itself_was_not_killed() -> None:
    with pytest.raises(MeddenoiseError, match="ended with status 3"):
        share_out(ended, 2, 2, (7, 5), lambda: None)


class Pair(Exception):
    """Cannot be made again from what it says."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def paired(trials: int, seeds: tuple[int, ...]) -> str:
    raise Pair("this", "that")


def test_a_fault_that_cannot_be_sent_is_told_in_words() -> None:
    with pytest.raises(RuntimeError, match=r"^Pair: this and that$") as caught:
        share_out(paired, 1, 2, (7, 5), lambda: None)
    assert "in paired" in str(caught.value.__cause__)


PARENT = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_tune_workers import endless, share_out

if __name__ == "__main__":
    def watch():
        if len([*Path(os.environ["PLACE"]).iterdir()]) == 2:
            os.kill(os.getpid(), 9)
    share_out(endless, 2, 2, (7, 5), watch)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL")
def test_no_process_outlives_one_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "place").mkdir()
    monkeypatch.setenv("PLACE", str(tmp_path / "place"))
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(tests=str(Path(__file__).parent)))
    done = subprocess.run([sys.executable, script], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    for _ in range(600):
        if len([*(tmp_path / "place").glob("* unwound")]) == 2:
            return
        time.sleep(0.1)
    raise AssertionError("they go on")


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
