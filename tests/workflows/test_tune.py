from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.config import load
from meddenoise.errors import ConfigError, OutputError
from meddenoise.workflows.study_file import NAME, storage_of
from meddenoise.workflows.tune import tune

pytest.importorskip("optuna")


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    draws = np.random.default_rng(0)
    image = draws.normal(0, 1, (24, 24))
    image[6:18, 6:18] += 100
    scan = md.write(md.Volume.from_array(image.astype(np.float32)), tmp_path / "scan.tiff")
    return {
        "data": {"images": str(scan), "patch": [16, 16], "batch": 1},
        "trainer": {"name": "supervised"},
        "network": {"name": "unet", "channels": [4, 8]},
        "noise": {"name": "gaussian", "sigma": 20},
        "training": {"steps": 4, "validate_every": 1, "validate_batches": 1, "ema": 0.0},
    }


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_grid_finds_the_rate_that_learns(config: dict[str, Any], tmp_path: Path) -> None:
    space = {"training.learning_rate": [1e-8, 1e-2], "network.channels": [[4, 8], [4]]}
    found = tune(config, space, trials=9, sampler="grid", prune=False, output=tmp_path / "t",
                 device="cpu")  # fmt: skip
    assert found.objective == "psnr"
    assert found.finished == 4
    assert found.best["training.learning_rate"] == 1e-2
    values = {row["trial"]: float(row["psnr"]) for row in rows(tmp_path / "t")}
    assert found.value == max(values.values())
    assert (
        len({(r["training.learning_rate"], r["network.channels"]) for r in rows(found.directory)})
        == 4
    )
    best = load(tmp_path / "t" / "best.yaml")
    assert best.training.learning_rate == 1e-2
    assert best.network.options["channels"] == found.best["network.channels"]
    assert set(found.importance) == set(space)
    assert found.no_importance == ""
    assert (tmp_path / "t" / "importance.svg").is_file()


def test_a_patch_that_nobody_chose_is_cut_to_the_scans(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(100, 10, (16, 16, 12)).astype(np.float32)
    scan = md.write(md.Volume.from_array(image), tmp_path / "scan.nii.gz")
    values = {
        "data": {"images": str(scan), "batch": 1, "patch_from": [24, 24, 8]},
        "trainer": {"name": "supervised"},
        "network": {"name": "unet", "channels": [4, 8]},
        "noise": {"name": "gaussian", "sigma": 20},
        "training": {"steps": 1, "validate_batches": 1},
    }
    space = {"training.learning_rate": [1e-8, 1e-2]}
    found = tune(md.Config(**values), space, trials=1, output=tmp_path / "t", device="cpu")
    assert found.finished == 1
    best = load(tmp_path / "t" / "best.yaml").data
    assert (best.patch, best.patch_from) == ([16, 16, 12], [16, 16, 8])


def test_what_it_was_made_with(config: dict[str, Any], tmp_path: Path) -> None:
    space = {"training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
    place = tmp_path / "t"
    tune(config, space, trials=1, output=place, device="cpu", seed=3)
    told = json.loads((place / "provenance.json").read_text(), parse_constant=pytest.fail)
    (first,) = told["calls"]
    assert (first["seed"], first["trials"], first["sampler"]) == (3, 1, "tpe")
    assert first["began"] <= first["ended"]
    assert first["versions"]["optuna"]
    assert first["command"]
    trial = json.loads((place / "trials" / "0" / "provenance.json").read_text())
    assert told["data"] == trial["data"]
    # Another call adds itself, and says that the scan is not the one it was.
    file = Path(config["data"]["images"])
    md.write(md.Volume.from_array(md.read(file).array[0] + 1), file, overwrite=True)
    tune(config, space, trials=1, output=place, device="cpu", seed=4)
    told = json.loads((place / "provenance.json").read_text())
    assert [call["seed"] for call in told["calls"]] == [3, 4]
    assert all(len(set(hashes)) == 2 for hashes in told["data"].values())


def test_a_damaged_record_is_not_written_over(config: dict[str, Any], tmp_path: Path) -> None:
    space = {"training.learning_rate": [1e-3, 1e-2]}
    place = tmp_path / "t"
    tune(config, space, trials=1, output=place, device="cpu")
    for text in ("{", "[]", '{"calls": 1}'):
        (place / "provenance.json").write_text(text)
        with pytest.raises(OutputError, match="is damaged: move it away"):
            tune(config, space, trials=1, output=place, device="cpu")
        assert (place / "provenance.json").read_text() == text
    assert len(rows(place)) == 1


def test_what_is_wrong_leaves_nothing_behind(config: dict[str, Any], tmp_path: Path) -> None:
    good = {"training.learning_rate": [1e-3, 1e-2]}
    for space, options in (
        ({"training.learning_rte": [1, 2]}, {}),
        (good, {"workers": 0}),
        (good, {"trials": 0}),
        (good, {"sampler": "guess"}),
    ):
        with pytest.raises(ConfigError):
            tune(config, space, output=tmp_path / "new", **{"trials": 1, **options})
    assert not (tmp_path / "new").exists()


def test_a_search_goes_on_and_is_the_same_one(config: dict[str, Any], tmp_path: Path) -> None:
    space = {"training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
    tune(config, space, trials=1, output=tmp_path / "t", device="cpu")
    renamed = config | {"name": "another"}
    found = tune(renamed, space, trials=1, output=tmp_path / "t", device="cpu")
    assert found.finished + found.pruned == 2
    rates = [row["training.learning_rate"] for row in rows(tmp_path / "t")]
    assert len(set(rates)) == 2
    with pytest.raises(ConfigError, match="of another space"):
        tune(config, {"seed": [1, 2]}, trials=1, output=tmp_path / "t")
    with pytest.raises(ConfigError, match="of another configuration"):
        tune(config, space, trials=1, overrides=["seed=9"], output=tmp_path / "t")


def test_a_trial_whose_process_was_killed_does_not_run_for_ever(
    config: dict[str, Any], tmp_path: Path
) -> None:
    optuna = pytest.importorskip("optuna")
    space = {"training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
    words = "import sys; from meddenoise.workflows.tune import tune; import os, signal; " + (
        "tune(sys.argv[1], sys.argv[2], trials=1, output=sys.argv[3], device='cpu', "
        "progress=lambda _: os.kill(os.getpid(), signal.SIGKILL))"
    )
    for name, told in (("c.yaml", config), ("s.yaml", space)):
        (tmp_path / name).write_text(json.dumps(told))
    places = [str(tmp_path / name) for name in ("c.yaml", "s.yaml", "t")]
    subprocess.run([sys.executable, "-c", words, *places], check=False)
    study = optuna.load_study(study_name=NAME, storage=storage_of(optuna, tmp_path / "t"))
    assert [trial.state.name for trial in study.trials] == ["RUNNING"]
    found = tune(config, space, trials=1, output=tmp_path / "t", device="cpu")
    assert (found.finished, found.failed) == (1, 1)
    assert [(r["state"], r["fault"]) for r in rows(tmp_path / "t")] == [
        ("fail", "its process was killed"),
        ("complete", ""),
    ]


def test_a_grid_that_goes_on_does_what_is_left(config: dict[str, Any], tmp_path: Path) -> None:
    space = {"training.learning_rate": [1e-4, 1e-3, 1e-2, 2e-2]}
    for seed in (0, 5):  # whatever the second call's seed
        tune(config, space, trials=2, sampler="grid", prune=False, output=tmp_path / "t",
             device="cpu", seed=seed)  # fmt: skip
    rates = [float(row["training.learning_rate"]) for row in rows(tmp_path / "t")]
    assert sorted(rates) == space["training.learning_rate"]


def test_a_trial_that_is_not_worth_it_is_stopped(config: dict[str, Any], tmp_path: Path) -> None:
    space = {"training.learning_rate": [1e-8, 3e-2, 2e-2, 1e-2, 2.5e-2, 1.1e-2, 1.2e-2, 1e-9]}
    found = tune(config, space, trials=8, sampler="grid", output=tmp_path / "t", device="cpu",
                 seed=1)  # fmt: skip
    assert found.finished + found.pruned == 8
    assert found.pruned >= 1
    assert {r["state"] for r in rows(tmp_path / "t")} == {"complete", "pruned"}


def test_without_truth_it_is_the_risk(config: dict[str, Any], tmp_path: Path) -> None:
    noisy = np.random.default_rng(1).normal(100, 10, (32, 32)).astype(np.float32)
    scan = md.write(md.Volume.from_array(noisy), tmp_path / "noisy.tiff")
    config |= {"trainer": {"name": "noise2void"}, "noise": None}
    config["data"] |= {"images": str(scan)}
    found = tune(config, {"training.learning_rate": [1e-3, 1e-2]}, trials=2, sampler="grid",
                 output=tmp_path / "t", device="cpu")  # fmt: skip
    assert found.objective == "risk"
    assert found.value == min(float(row["risk"]) for row in rows(tmp_path / "t") if row["risk"])


def test_workers_share_a_study(config: dict[str, Any], tmp_path: Path) -> None:
    space = {"training.learning_rate": {"low": 1e-4, "high": 1e-2}}
    said: list[str] = []
    found = tune(config, space, trials=2, workers=2, sampler="random", output=tmp_path / "t",
                 device="cpu", progress=said.append)  # fmt: skip
    assert found.finished == 2
    assert sorted(line.split(":")[0] for line in said) == ["trial 0", "trial 1"]
    assert all(": psnr " in line for line in said)
    assert found.importance == {}
    assert "2 of at least 4 trials" in found.no_importance
    assert not (tmp_path / "t" / "importance.svg").exists()
    assert len({row["training.learning_rate"] for row in rows(tmp_path / "t")}) == 2


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        ({"training.lerning_rate": [1, 2]}, {}, "learning_rate"),
        ({"training.steps": {"low": -3, "high": 5}}, {}, "training.steps"),
        ({"seed": [1, 2]}, {"trials": 0}, "--trials 0"),
        ({"seed": [1, 2]}, {"workers": 0}, "--workers 0"),
        ({"seed": [1, 2]}, {"seed": -1}, "--seed -1: give a whole number from 0 to 4294967295"),
        ({"seed": [1, 2]}, {"seed": 2**32}, "--seed 4294967296"),
        ({"training.ema": {"low": 0.0, "high": 0.5}}, {"sampler": "grid"}, "A grid needs"),
        ({"name": ["a", "b"]}, {}, "the key name, which no training depends on"),
        (
            {"noise": [{"name": "gaussian", "sigma": 5}, {"stabilise": "auto"}]},
            {},
            "With noise .*gaussian.* a trial is judged by psnr and with .*auto.* by risk",
        ),
    ],
)
def test_a_fault_is_found_before_the_first_training(
    config: dict[str, Any], tmp_path: Path, space: Any, options: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        tune(config, space, **{"trials": 1, "output": tmp_path / "t", **options})
    assert not (tmp_path / "t" / "trials").exists()


def test_a_key_of_the_space_decides_by_what_trials_are_judged(
    config: dict[str, Any], tmp_path: Path
) -> None:
    plain = {key: value for key, value in config.items() if key != "noise"}
    plain["data"] = {key: value for key, value in plain["data"].items() if key != "targets"}
    space = {"noise": [{"name": "gaussian", "sigma": 5}, {"name": "rician", "sigma": 5}]}
    assert tune(plain, space, trials=1, output=tmp_path / "t").objective == "psnr"


def test_if_no_trial_works_the_last_says_why(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No trial came to its end. The last said: .*patch"):
        tune(config, {"data.patch": [[64, 64], [80, 80]]}, trials=1, output=tmp_path / "t")


def test_a_directory_of_something_else(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "notes.txt").write_text("")
    with pytest.raises(OutputError, match="other things"):
        tune(config, {"seed": [1, 2]}, trials=1, output=tmp_path / "t")


def test_a_rate_that_diverges_fails_its_trial_and_no_other(
    config: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    space = {"training.learning_rate": [1e-2, 1e30]}
    config["training"]["clip"] = None
    found = tune(config, space, trials=2, sampler="grid", output=tmp_path / "tune")
    assert (found.finished, found.failed) == (1, 1)
    assert found.best == {"training.learning_rate": 1e-2}
    faults = [row["fault"] for row in rows(found.directory) if row["state"] == "fail"]
    assert len(faults) == 1
    assert "not finite" in faults[0]
    assert "Traceback" not in capfd.readouterr().err
