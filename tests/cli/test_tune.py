from __future__ import annotations

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
    again = cli("train", tmp_path / "t" / "best.yaml", "-o", tmp_path / "run", "--device", "cpu")
    assert again.status == 0, again.err


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
