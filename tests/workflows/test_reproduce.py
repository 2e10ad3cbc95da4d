from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import ConfigError, FileError, OutputError
from meddenoise.workflows.reproduce import reproduce


@pytest.fixture
def run(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    image = draws.normal(100, 1, (16, 16, 12)).astype(np.float32)
    image[4:12] += 100
    scan = md.write(md.Volume.from_array(image), tmp_path / "scan.nii.gz")
    made = md.train(
        {
            "data": {"images": str(scan), "patch": [8, 8, 8], "batch": 1},
            "trainer": {"name": "noise2void"},
            "network": {"name": "unet", "channels": [4, 8]},
            "noise": {"name": "gaussian", "sigma": 10},
            "training": {"steps": 3, "validate_batches": 1, "trackers": []},
            "seed": 5,
        },
        output=tmp_path / "run",
        device="cpu",
        progress=False,
    )
    assert made is not None
    return made.directory


def changed(run: Path, change: Any) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    change(metrics)
    (run / "metrics.json").write_text(json.dumps(metrics))


def test_a_run_says_what_it_was_made_with(run: Path) -> None:
    told = json.loads((run / "provenance.json").read_text())
    assert told == json.loads((run / "metrics.json").read_text())["run"]
    assert told["seed"] == 5
    assert told["threads"] >= 1
    assert list(told["data"]) == ["scan"]
    assert len(told["data"]["scan"]) == len("sha256:") + 64


def test_precision_and_layout_are_those_of_the_run(run: Path) -> None:
    told = json.loads((run / "provenance.json").read_text())["arithmetic"]
    other = {
        "precision": {"fp32": "bf16", "bf16": "fp32"}[told["precision"]],
        "layout": {"contiguous": "channels_last", "channels_last": "contiguous"}[told["layout"]],
    }
    # As if another machine had chosen.
    changed(run, lambda metrics: metrics["run"]["arithmetic"].update(other, by="measurement"))
    again = reproduce(run, progress=False)
    made = json.loads((again.directory / "provenance.json").read_text())["arithmetic"]
    assert made == {**other, "by": "settings"}
    assert not [said for said in again.conditions if "precision" in said or "layout" in said]
    changed(run, lambda metrics: metrics["run"].update(device="cuda"))
    elsewhere = reproduce(run, progress=False, device="cpu", overwrite=True)
    made = json.loads((elsewhere.directory / "provenance.json").read_text())["arithmetic"]
    assert made == told
    assert f"precision was {other['precision']} and is {told['precision']}." in elsewhere.conditions


def test_the_same_machine_gives_the_same_bits(run: Path) -> None:
    told = reproduce(run, progress=False)
    assert told.verdict == "identical"
    assert told.weights
    assert told.directory == run.with_name("run-again")
    assert {"scan denoised psnr", "validation loss", "steps"} <= {n.name for n in told.numbers}
    assert not [said for said in told.conditions if "data" in said]
    with pytest.raises(OutputError, match="holds a run already"):
        reproduce(run, progress=False)


def test_a_number_that_is_another_is_found(run: Path) -> None:
    def near(metrics: Any) -> None:
        metrics["test"]["volumes"][0]["denoised"]["psnr"] += 0.05
        metrics["run"]["versions"]["torch"] = "0.1"

    changed(run, near)
    told = reproduce(run, progress=False)
    assert told.verdict == "agrees"
    assert any(said.startswith("torch was 0.1 and is") for said in told.conditions)

    def far(metrics: Any) -> None:
        metrics["test"]["volumes"][0]["denoised"]["psnr"] += 1

    changed(run, far)
    told = reproduce(run, overwrite=True, progress=False)
    assert told.verdict == "differs"
    assert [one.name for one in told.numbers if not one.agrees] == ["scan denoised psnr"]


def test_other_data_are_named(run: Path) -> None:
    scan = md.read(run.parent / "scan.nii.gz")
    md.write(scan.with_array(scan.array + 1), run.parent / "new.nii.gz")
    (run.parent / "new.nii.gz").replace(run.parent / "scan.nii.gz")
    told = reproduce(run, progress=False)
    assert "The data are not the same: scan." in told.conditions


def test_what_cannot_be_run_again(run: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no run directory"):
        reproduce(tmp_path / "none")
    with pytest.raises(OutputError, match="is the run itself"):
        reproduce(run, output=run)
    changed(run, lambda metrics: metrics["run"].update(processes=2))
    with pytest.raises(ConfigError, match="nproc-per-node 2"):
        reproduce(run)
    (run / "metrics.json").write_text("{}")
    with pytest.raises(FileError, match="is damaged"):
        reproduce(run)
