from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from meddenoise.config import dump, parse
from meddenoise.errors import FileError, OutputError, ParameterError
from meddenoise.workflows.compare_runs import compare_runs


def finished(directory: Path, psnr: list[float], *, other: str = "", **training: Any) -> Path:
    """A run directory as ``train`` leaves it, with these scores."""
    directory.mkdir(parents=True)
    config = parse(
        {
            "data": {"images": "/home/sentinel/scans"},
            "trainer": {"name": "noise2void"},
            "training": training,
        }
    )
    (directory / "config.yaml").write_text(dump(config))
    rows = [
        {
            "name": f"scan{n}",
            "denoised": {"psnr": value, "ssim": value / 40, "rmse": 1.0, "mae": 1.0},
        }
        for n, value in enumerate(psnr)
    ]
    hashes = {f"scan{n}": f"sha256:{n}{other}" for n in range(len(psnr))}
    metrics = {
        "test": {"volumes": rows},
        "validation": {"loss": 1.0},
        "train": {"steps": 5, "seconds": 9.0, "parameters": 1234},
        "run": {"versions": {"meddenoise": "1"}, "git": None, "data": hashes},
    }
    (directory / "metrics.json").write_text(json.dumps(metrics))
    (directory / "log.jsonl").write_text('{"step": 5, "kind": "val", "loss": 1.0}\n')
    return directory


FIRST = [30.0, 31.0, 29.0, 32.0, 30.5, 28.0, 33.0]


def test_a_constant_gain_is_found_with_its_test(tmp_path: Path) -> None:
    one = finished(tmp_path / "one", FIRST)
    two = finished(tmp_path / "two", [x + 1 for x in FIRST], steps=7, learning_rate=0.01)
    told = compare_runs([one, two])
    assert told.names == ("one", "two")
    assert told.settings == {
        "training.steps": (1000, 7),
        "training.learning_rate": (0.001, 0.01),
    }
    gain = told.gains["psnr"][1]
    assert gain is not None
    assert gain.difference.value == pytest.approx(1)
    assert gain.p_value == pytest.approx(2 / 2**7)  # all seven signs alike, two-sided
    assert told.gains["psnr"][0] is None
    assert told.means["psnr"][0].value == pytest.approx(np.mean(FIRST))
    assert told.notes == ()
    json.dumps(told.as_dict(), allow_nan=False)


def test_the_page_tells_of_nobody(tmp_path: Path) -> None:
    one = finished(tmp_path / "one", FIRST)
    two = finished(tmp_path / "two", FIRST)
    config = yaml.safe_load((two / "config.yaml").read_text())
    config["data"]["images"] = "/home/sentinel/others"
    config["data"]["cache_directory"] = "sentinel"
    config["training"]["start_from"] = "sentinel"
    config["trainer"]["table"] = "sentinel.csv"
    config["noise"] = {"name": "gaussian", "sigma": "2.5%"}
    (two / "config.yaml").write_text(yaml.safe_dump(config))
    told = compare_runs([one, two], output=tmp_path / "c.html", figures=tmp_path / "f")
    assert "data.images" in told.settings
    text = (tmp_path / "c.html").read_text()
    assert "sentinel" not in text
    assert "training.start_from" in text
    assert "2.5%" in text
    assert "scan0" not in text
    assert "all values are the same" in text
    assert (tmp_path / "f" / "validation_loss.pdf").is_file()


def test_figures_that_have_no_place_are_refused_before_the_page(tmp_path: Path) -> None:
    runs = [finished(tmp_path / name, FIRST) for name in ("one", "two")]
    taken = tmp_path / "figures"
    taken.write_text("")
    with pytest.raises(OutputError, match="not a directory"):
        compare_runs(runs, output=tmp_path / "c.html", figures=taken)
    assert not (tmp_path / "c.html").exists()


def test_other_voxels_are_not_paired(tmp_path: Path) -> None:
    one, two = finished(tmp_path / "one", FIRST), finished(tmp_path / "two", FIRST, other="x")
    told = compare_runs([one, two])
    assert told.gains["psnr"] == (None, None)
    assert any("not paired" in note for note in told.notes)


def test_other_scans_are_said(tmp_path: Path) -> None:
    told = compare_runs([finished(tmp_path / "a", FIRST), finished(tmp_path / "b", FIRST[:3])])
    assert any("not tested on the same scans" in note for note in told.notes)
    assert told.gains["psnr"][1].difference.count == 3


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    one, two = finished(tmp_path / "a" / "run", FIRST), finished(tmp_path / "b" / "run", FIRST)
    assert compare_runs([one, two]).names == ("a/run", "b/run")


def test_a_page_numbers_runs_of_one_name(tmp_path: Path) -> None:
    """Directories above may be named after patients."""
    runs = [finished(tmp_path / f"sentinel{n}" / "run", FIRST) for n in (1, 2)]
    runs.append(finished(tmp_path / "other", FIRST))
    compare_runs(runs, output=tmp_path / "c.html", figures=tmp_path / "f")
    text = (tmp_path / "c.html").read_text()
    assert all(f"<th>{name}</th>" in text for name in ("run (1)", "run (2)", "other"))
    plot = (tmp_path / "f" / "validation_loss.svg").read_text()
    assert "run (2)" in plot
    pictures = [base64.b64decode(p.split('"')[0]).decode() for p in text.split(";base64,")[1:]]
    for told in (text, plot, *pictures):
        assert "sentinel" not in told


def test_a_numbered_run_keeps_its_name(tmp_path: Path) -> None:
    runs = [finished(tmp_path / str(n) / "run", FIRST, steps=n) for n in (1, 2)]
    runs.append(finished(tmp_path / "3" / "run (1)", FIRST, steps=3))
    compare_runs(runs, output=tmp_path / "c.html", figures=tmp_path / "f")
    text = (tmp_path / "c.html").read_text()
    # A column in each of two tables.
    assert all(text.count(f"<th>run ({n})</th>") == 2 for n in (1, 2, 3))
    plot = (tmp_path / "f" / "validation_loss.svg").read_text()
    assert all(f"run ({n})" in plot for n in (1, 2, 3))


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    one = finished(tmp_path / "one", FIRST)
    with pytest.raises(ParameterError, match="two runs or more"):
        compare_runs([one])
    with pytest.raises(ParameterError, match="stands twice"):
        compare_runs([one, one])
    with pytest.raises(FileError, match="no run directory"):
        compare_runs([one, tmp_path / "none"])
