from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.config import TrainingConfig
from meddenoise.errors import ConfigError
from meddenoise.training.trackers import start_trackers


class Accelerator:
    """Remembers what trackers were started with; ``fault`` is raised instead."""

    def __init__(self, *names: str, fault: Exception | None = None) -> None:
        self.said: dict[str, Any] = {}
        self.kept: dict[str, dict[str, Any]] = {}
        self._fault = fault
        self.trackers = [
            SimpleNamespace(name=name, store_init_configuration=self._keep(name)) for name in names
        ]

    def _keep(self, name: str) -> Any:
        return lambda values: self.kept.setdefault(name, values)

    def init_trackers(self, project: str, init_kwargs: dict[str, Any]) -> None:
        if self._fault is not None:
            raise self._fault
        self.said = {"project": project, **init_kwargs}


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_DIR", raising=False)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(Settings=lambda **said: said))


@pytest.mark.usefixtures("wandb")
def test_runs_are_called_after_their_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["tensorboard", "mlflow", "wandb"]
    settings = TrainingConfig(steps=7, trackers=names)
    told = Accelerator(*names)
    start_trackers(told, tmp_path / "run7", settings)  # type: ignore[arg-type]
    assert told.said["project"] == "meddenoise"
    assert told.said["mlflow"]["run_name"] == told.said["wandb"]["name"] == "run7"
    assert told.said["wandb"]["dir"] == str(tmp_path / "run7")
    assert set(told.kept) == {"mlflow", "wandb"}
    assert told.kept["mlflow"]["training.steps"] == 7
    # What names scans is not sent.
    discreet = told.said["wandb"]["settings"]
    assert discreet["console"] == "off"
    assert all(discreet[key] for key in ("x_disable_meta", "disable_git", "disable_code"))
    monkeypatch.setenv("WANDB_DIR", "elsewhere")
    start_trackers(told, tmp_path / "run7", settings)  # type: ignore[arg-type]
    assert "dir" not in told.said["wandb"]


@pytest.mark.usefixtures("wandb")
def test_one_that_cannot_start_is_one_sentence(tmp_path: Path) -> None:
    settings = TrainingConfig(trackers=["wandb"])
    for fault, said in (
        (RuntimeError("No API key.\nmore\nlines"), r"wandb could not be started \(No API key\.\)"),
        (OSError(), r"wandb could not be started \(OSError\): for wandb log in"),
    ):
        accelerator = Accelerator("wandb", fault=fault)
        with pytest.raises(ConfigError, match=said):
            start_trackers(accelerator, tmp_path, settings)  # type: ignore[arg-type]


CONFIG: dict[str, Any] = {
    "data": {"patch": [8, 8, 8], "batch": 1},
    "trainer": {"name": "supervised"},
    "network": {"name": "unet", "channels": [4, 8]},
    "noise": {"name": "gaussian", "sigma": "10%"},
    "training": {"steps": 2, "validate_every": 1, "validate_batches": 1},
}


def trained(place: Path, tracker: str) -> None:
    draws = np.random.default_rng(0)
    scan = place.parent / "scan.nii.gz"
    md.write(md.Volume.from_array(draws.normal(100, 5, (16, 16, 16)).astype(np.float32)), scan)
    config = {
        **CONFIG,
        "data": {**CONFIG["data"], "images": str(scan)},
        "training": {**CONFIG["training"], "trackers": [tracker]},
    }
    md.train(config, output=place, device="cpu", progress=False)


def test_tensorboard_has_its_own_directory(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trained(tmp_path / "run", "tensorboard")
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert {"train/loss", "val/psnr"} <= set(events.Tags()["scalars"])
    assert {"val/images", "val/residuals"} <= set(events.Tags()["images"])


def test_mlflow_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    trained(tmp_path / "run", "mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = [e for e in client.search_experiments() if e.name == "meddenoise"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "run"
    assert {"train/loss", "val/psnr"} <= set(run.data.metrics)
    assert run.data.params["training.steps"] == "2"
    shown = [f.path for f in client.list_artifacts(run.info.run_id, "val")]
    assert shown == ["val/images", "val/residuals"]


def test_weights_and_biases_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(sys, "argv", ["meddenoise", "train", "JaneSentinel.nii.gz"])
    trained(tmp_path / "run", "wandb")
    (file,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    assert b"val/psnr" in file.read_bytes()
    assert b"Sentinel" not in file.read_bytes()
    pictures = sorted(p.name for p in file.parent.glob("files/media/images/val/*.png"))
    assert [name.split("_")[0] for name in pictures] == ["images"] * 2 + ["residuals"] * 2
    assert "Sentinel" not in json.dumps([p.read_text() for p in file.parent.glob("files/*.txt")])
