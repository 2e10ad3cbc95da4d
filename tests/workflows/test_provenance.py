from __future__ import annotations

import getpass
import json
from pathlib import Path

import numpy as np
import pytest

import meddenoise
from meddenoise.workflows import provenance as module
from meddenoise.workflows.provenance import provenance, voxel_hash


def test_it_tells_versions_machine_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/meddenoise", "train", "x.yaml"])
    told = json.loads(json.dumps(provenance("cpu")))
    assert told["versions"]["meddenoise"] == meddenoise.__version__
    assert told["versions"]["numpy"]
    assert told["device"] == "cpu"
    assert told["command"] == ["meddenoise", "train", "x.yaml"]
    assert getpass.getuser() not in told["platform"]


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(module.subprocess, "run", absent)
    assert provenance()["git"] is None
    assert provenance()["device"] is None


def test_a_commit_is_forty_digits() -> None:
    if not (Path(meddenoise.__file__).parents[1] / ".git").exists():
        pytest.skip("this is no checkout")
    commit = provenance()["git"]
    assert commit is None or len(commit) == 40


def test_a_hash_is_of_voxels_and_place() -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    one = meddenoise.Volume.from_array(array)
    same = meddenoise.Volume.from_array(array.copy(), modality="MR")
    assert voxel_hash(one) == voxel_hash(same)
    others = [
        meddenoise.Volume.from_array(array + 1),
        meddenoise.Volume.from_array(array, spacing=(1, 1, 2)),
        meddenoise.Volume.from_array(array, units="HU"),
        meddenoise.Volume.from_array(array.reshape(3, 2, 4)),
    ]
    hashes = {voxel_hash(one), voxel_hash(one, None), *map(voxel_hash, others)}
    assert len(hashes) == 6


def test_seed_and_data_are_told_where_there_are_any() -> None:
    assert "seed" not in provenance()
    told = provenance("cpu", seed=3, data={"a": "sha256:0"})
    assert (told["seed"], told["data"]) == (3, {"a": "sha256:0"})
    assert told["gpu"] is None
