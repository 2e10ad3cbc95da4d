"""A training on procedural anatomy, small."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

from meddenoise.config.pretrain import load_pretrain
from meddenoise.errors import ConfigError, OutputError
from meddenoise.inference import Denoiser, read_model_info
from meddenoise.workflows.pretrain import pretrain

CONFIG: dict[str, Any] = {
    "synthetic": {"patch": [16, 16, 16], "batch": 1, "size": 24, "pool": 2, "every": 2},
    "network": {"name": "levelled", "channels": [3, 4]},
    "training": {
        "steps": 4,
        "validate_every": 4,
        "validate_batches": 1,
        "checkpoint_every": 2,
        "trackers": [],
        "precision": "fp32",
    },
}


def run(output: Path, **options: Any) -> Any:
    return pretrain(CONFIG, output=output, device="cpu", progress=False, **options)


def weights(path: Path) -> list[torch.Tensor]:
    return list(Denoiser.load(path, device="cpu").network.state_dict().values())


def test_its_configuration_is_read_as_it_was(tmp_path: Path) -> None:
    finished = pretrain({**CONFIG, "name": "1e3"}, output=tmp_path / "run", device="cpu",
                        progress=False)  # fmt: skip
    assert finished is not None
    assert load_pretrain(tmp_path / "run/config.yaml").name == "1e3"


def test_a_model_file_with_its_provenance(tmp_path: Path) -> None:
    finished = run(tmp_path / "run")
    info = read_model_info(finished.model)
    assert info["data"] == {
        "procedural": {
            **CONFIG["synthetic"],
            "ct": 0.25,
            "low": 0.01,
            "high": 0.3,
            "workers": 0,
            "reuse": 1,
        }
    }
    assert info["training"]["steps"] == finished.result.steps == 4
    assert info["training"]["seed"] == 0
    assert info["normalise"]["method"] == "fixed"
    assert (tmp_path / "run" / "config.yaml").exists()
    made = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert (made["seed"], made["versions"]["torch"]) == (0, version("torch"))
    assert finished.result.validation["psnr_noisy"] > 0


def test_a_resumed_run_ends_as_one_that_was_not_interrupted(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole").model
    run(tmp_path / "parts", overrides=["training.steps=4"])
    checkpoint = tmp_path / "parts" / "checkpoint"
    assert checkpoint.exists()
    again = run(tmp_path / "parts", overrides=["name=another"], resume=True).model
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(again), strict=True))


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    one, same = run(tmp_path / "a").model, run(tmp_path / "b").model
    other = run(tmp_path / "c", overrides=["seed=1"]).model
    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(same), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_with_workers_and_patches_used_twice(tmp_path: Path) -> None:
    more = ["synthetic.workers=2", "synthetic.batch=2", "synthetic.reuse=2"]
    one, same = (run(tmp_path / name, overrides=more).model for name in "ab")
    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(same), strict=True))


def test_from_the_weights_of_a_model(tmp_path: Path) -> None:
    first = run(tmp_path / "first").model
    slow = ["training.learning_rate=1e-12", f"training.start_from={first}"]
    again = run(tmp_path / "again", overrides=slow).model
    for a, b in zip(weights(first), weights(again), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    told = read_model_info(again)["training"]
    assert told["before"]["training"] == read_model_info(first)["training"]
    assert str(tmp_path) not in json.dumps(told)
    with pytest.raises(ConfigError, match="3-D network 'levelled'"):
        run(tmp_path / "other", overrides=["network={name: unet}", *slow])
    assert not (tmp_path / "other").exists()


def test_in_the_plane(tmp_path: Path) -> None:
    model = run(tmp_path / "run", overrides=["synthetic.patch=[16,16]"]).model
    assert read_model_info(model)["network"]["dims"] == 2


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("synthetic.pach=[8,8]", "patch"),
        ("synthetic.patch=[8,8,32]", "larger than size"),
        ("synthetic.low=0.5", "low must be below high"),
        ("synthetic.reuse=2", "multiple of reuse"),
        ("network.chanels=[3]", "channels"),
        ("loss=l3", "l3"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        run(tmp_path / "run", overrides=[override])
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_replaced_unasked(tmp_path: Path) -> None:
    run(tmp_path / "run")
    with pytest.raises(OutputError, match="--resume"):
        run(tmp_path / "run")
    assert run(tmp_path / "run", overwrite=True) is not None
