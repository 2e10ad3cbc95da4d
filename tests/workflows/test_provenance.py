from __future__ import annotations

import getpass
import json
from pathlib import Path

import pytest

import meddenoise
from meddenoise.workflows import provenance as module
from meddenoise.workflows.provenance import provenance


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
