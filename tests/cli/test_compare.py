from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def test_two_runs_and_one_again(
    cli: Any, make_scan: Callable[..., Path], tiny: Callable[..., list[str]], tmp_path: Path
) -> None:
    clean = np.zeros((16, 16, 12), np.float32)
    clean[4:12] = 100
    scan = make_scan("clean.nii.gz", clean + np.random.default_rng(0).normal(0, 1, clean.shape))
    noise = ("noise.name=gaussian", "noise.sigma=10", f"data.images={scan}")
    runs = [tmp_path / "one", tmp_path / "two:x:b"]
    for run, steps in zip(runs, (2, 3), strict=True):
        assert cli(*tiny(*noise, f"training.steps={steps}"), "-o", run).status == 0
    said = cli("compare", *runs, "-o", tmp_path / "c.html", "--json", tmp_path / "c.json")
    assert said.status == 0, said.err
    assert "training.steps" in said.out
    assert said.out.count("two:x:b") == 2
    assert "PSNR" in said.out
    assert json.loads((tmp_path / "c.json").read_text())["settings"]["training.steps"] == [2, 3]
    assert cli("compare", runs[0]).sentence.endswith("A comparison needs two runs or more.")

    again = cli("reproduce", runs[0])
    assert again.status == 0, again.err
    assert again.out.strip().endswith("identical")
    metrics = json.loads((runs[0] / "metrics.json").read_text())
    metrics["test"]["volumes"][0]["denoised"]["psnr"] -= 3
    (runs[0] / "metrics.json").write_text(json.dumps(metrics))
    again = cli("reproduce", runs[0], "--overwrite")
    assert again.status == 1
    assert "clean denoised psnr" in again.out
    assert again.out.strip().endswith("differs")


def test_numbers_are_not_written_over_a_run_or_the_page(cli: Any, tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("one", "two")]
    for run in runs:
        run.mkdir()
        (run / "metrics.json").write_text("{}")
    said = cli("compare", *runs, "--json", runs[1] / "metrics.json")
    assert "metrics.json is part of the run" in said.sentence
    assert (runs[1] / "metrics.json").read_text() == "{}"
    page = tmp_path / "c.html"
    said = cli("compare", *runs, "-o", page, "--json", tmp_path / "one" / ".." / "c.html")
    assert "is that of --output as well" in said.sentence
    assert "is a directory" in cli("compare", *runs, "-o", page, "--json", tmp_path).sentence
    assert not page.exists()
