from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")


def test_a_search_from_the_command_line(
    cli: Any, scan: Path, tiny: Callable[..., list[str]], tmp_path: Path
) -> None:
    config = tiny()[1]
    space = tmp_path / "space.yaml"
    space.write_text("training.learning_rate: [0.001, 0.01]\n")
    words = ("--set", f"data.images={scan}", "--set", "noise.name=gaussian", "--set",
             "noise.sigma=20", "--device", "cpu", "-o", tmp_path / "t")  # fmt: skip
    said = cli("tune", config, "--space", space, "--trials", 2, "--sampler", "grid", *words)
    assert said.status == 0, said.err
    assert "2 trials finished" in said.out
    assert "training.learning_rate: 0.0" in said.out
    assert "trial 1: psnr" in said.err
    assert "The importance of keys cannot be told: 2 of at least 4 trials" in said.out
    again = cli("train", tmp_path / "t" / "best.yaml", "-o", tmp_path / "run", "--device", "cpu")
    assert again.status == 0, again.err


def test_two_commands_at_once_share_one_study(
    scan: Path, tiny: Callable[..., list[str]], tmp_path: Path
) -> None:
    config = tiny()[1]
    space = tmp_path / "space.yaml"
    space.write_text("training.learning_rate: {low: 0.0001, high: 0.01, log: true}\n")
    words = ("tune", config, "--space", space, "--trials", "2", "--sampler", "random", "--set",
             f"data.images={scan}", "--set", "noise.name=gaussian", "--set", "noise.sigma=20",
             "--device", "cpu", "-o", tmp_path / "t")  # fmt: skip
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "meddenoise", *map(str, words), "--seed", str(seed)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for seed in (1, 2)
    ]  # fmt: skip
    told = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    # Each did two trials, and no trial was done twice.
    each = [{n for n in range(9) if f"trial {n}: psnr" in err} for _, err in told]
    assert [len(one) for one in each] == [2, 2], told
    assert each[0] | each[1] == {0, 1, 2, 3}
    with (tmp_path / "t" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    # The later one to end wrote all that it knew of, which is all.
    assert {row["state"] for row in rows} == {"complete"}
    assert len({row["training.learning_rate"] for row in rows}) == 4
    assert any("4 trials finished" in out for out, _ in told)


def test_faults_are_one_sentence(cli: Any, tiny: Callable[..., list[str]], tmp_path: Path) -> None:
    config, space = tiny()[1], tmp_path / "space.yaml"
    words = ("--trials", 1, "-o", tmp_path / "t")
    assert "no configuration file" in cli("tune", config, "--space", space, *words).sentence
    space.write_text("training.lerning_rate: [0.001, 0.01]\n")
    said = cli("tune", config, "--space", space, *words)
    assert said.status == 2
    assert "learning_rate" in said.sentence
    said = cli("tune", config, "--space", space, "--sampler", "grit", *words)
    assert "no sampler 'grit'" in said.sentence
