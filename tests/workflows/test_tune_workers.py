from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest

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
