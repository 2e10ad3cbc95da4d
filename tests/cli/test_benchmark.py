from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def test_a_table_on_the_screen_and_files(cli: Any, tmp_path: Path) -> None:
    config = tmp_path / "compare.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "data": {"images": "sample:head", "crop": [24, 24, 24]},
                "noise": [{"name": "gaussian", "sigma": "10%"}],
                "methods": [{"filter": "median"}, {"filter": "mean"}],
            }
        )
    )
    said = cli("benchmark", config, "-o", tmp_path / "out")
    assert said.status == 0
    assert "| median |" in said.out
    assert "mean: head-0" in said.err  # what it is doing
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        *("benchmark.md", "benchmark.csv", "benchmark.json", "comparison.png"),
        "provenance.json",
    }
    again = cli("benchmark", config, "-o", tmp_path / "out")
    assert again.status == 2
    assert "--overwrite" in again.sentence


def test_a_missing_file_is_one_sentence(cli: Any, tmp_path: Path) -> None:
    said = cli("benchmark", tmp_path / "no.yaml")
    assert said.status == 2
    assert "no.yaml" in said.sentence
