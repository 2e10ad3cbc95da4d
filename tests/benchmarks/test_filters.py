"""The filter benchmark goes on where it was cut off, and scores what the methods gave."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def filters(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module; what it imports from beside it goes again."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    before = set(sys.modules)
    import filters

    yield filters
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == SCRIPTS:
            del sys.modules[name]


def case(filters: ModuleType, name: str) -> object:
    clean = np.tile(np.linspace(0, 1, 24, dtype=np.float32), (24, 20, 1))
    noise = np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)
    return filters.Case(name, clean, clean + 0.1 * noise, 0.1)


def test_a_run_that_was_cut_off_goes_on(filters: ModuleType, tmp_path: Path) -> None:
    bench = filters.Bench(tmp_path, Path(sys.executable))
    cases = [case(filters, "one, 10 %"), case(filters, "two")]
    first = bench.run("gaussian", cases[:1])
    told = tmp_path / "gaussian" / "one_10_.json"
    before = told.read_text()
    both = bench.run("gaussian", cases)
    assert told.read_text() == before
    assert both.psnr["one, 10 %"] == first.psnr["one, 10 %"] > cases[0].scores(cases[0].noisy)[0]
    assert set(both.seconds) == {"one, 10 %", "two"}
    assert all(value > 0 for value in (*both.seconds.values(), both.speed(cases)))
    assert json.loads(before).keys() == {"seconds", "cpu", "memory"}


def test_only_the_window_is_scored(filters: ModuleType) -> None:
    seen = case(filters, "CT")
    seen.window = (0.0, 0.5)
    beyond = seen.clean.copy()
    beyond[beyond > 0.5] = 1
    assert seen.scores(beyond) == (float("inf"), 1.0)
