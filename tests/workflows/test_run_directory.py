from __future__ import annotations

import os
from pathlib import Path

import pytest

from meddenoise.config import parse
from meddenoise.errors import ConfigError, MeddenoiseError, OutputError
from meddenoise.workflows.run_directory import check_directory, claimed, directory_of


def test_where_a_run_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse({"data": {"images": "x"}, "trainer": {"name": "noise2void"}})
    assert directory_of(config, "here") == Path("here")
    assert directory_of(config, None) == Path("runs/noise2void")
    assert directory_of(config.renamed("brain"), None) == Path("runs/brain")
    monkeypatch.setenv("HOME", "/home/me")
    assert directory_of(parse(config.model_dump(), ["output=~/there"]), None) == Path(
        "/home/me/there"
    )


def test_a_new_directory_is_made_and_stays(tmp_path: Path) -> None:
    with claimed(tmp_path / "a/b", resume=False):
        (tmp_path / "a/b/config.yaml").write_text("x")
    assert (tmp_path / "a/b/config.yaml").exists()


def fail(run: Path, fault: BaseException, made: str) -> None:
    """A run that makes one thing and then fails."""
    with claimed(run, resume=False):
        assert not list(run.iterdir())
        (run / made).mkdir()
        raise fault


@pytest.mark.parametrize("fault", [ConfigError("no"), KeyboardInterrupt(), SystemExit(143)])
def test_before_the_first_checkpoint_all_is_as_it_was(tmp_path: Path, fault: BaseException) -> None:
    run = tmp_path / "run"
    with pytest.raises(type(fault)):
        fail(run, fault, "tensorboard")
    assert not run.exists()
    run.mkdir()
    (run / "config.yaml").write_text("old")
    with pytest.raises(type(fault)):
        fail(run, fault, "tensorboard")
    assert [path.name for path in run.iterdir() if path.name != ".lock"] == ["config.yaml"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_after_the_first_checkpoint_the_new_run_stays(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        fail(run, KeyboardInterrupt(), "checkpoint")
    assert [path.name for path in run.iterdir()] == ["checkpoint"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_resuming_replaces_and_removes_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("old")
    with pytest.raises(ConfigError), claimed(run, resume=True):
        raise ConfigError("another configuration")
    assert (run / "config.yaml").read_text() == "old"


def test_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="cannot be made"),
        claimed(tmp_path / "file/run", resume=False),
    ):
        pytest.fail("it was made")
    with pytest.raises(OutputError, match="is a file"):
        check_directory(tmp_path / "file", [], resume=False, overwrite=True)
    with pytest.raises(OutputError, match="is no name in UTF-8"):
        check_directory(tmp_path / os.fsdecode(b"run_\xe9"), [], resume=False, overwrite=True)


def test_a_run_is_not_replaced_by_one_that_learns_from_its_model(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").touch()
    models = {"trainer.teacher": None, "training.start_from": str(run / "model.safetensors")}
    with pytest.raises(OutputError, match=r"holds the model of training\.start_from, model\.safe"):
        check_directory(run, [], resume=False, overwrite=True, models=models)
    check_directory(run, [], resume=True, overwrite=False, models=models)
    check_directory(tmp_path / "other", [], resume=False, overwrite=True, models=models)
    (tmp_path / "elsewhere.safetensors").touch()
    (run / "model.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(OutputError, match="holds the model of"):
        check_directory(run, [], resume=False, overwrite=True, models=models)


def test_a_run_that_has_come_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    run = tmp_path / "run"
    check_directory(run, [], resume=False, overwrite=False)
    run.mkdir()
    (run / "model.safetensors").write_text("another process's")
    with (
        pytest.raises(OutputError, match="now holds another"),
        claimed(run, resume=False, overwrite=False),
    ):
        pytest.fail("it was replaced")
    assert (run / "model.safetensors").read_text() == "another process's"
    with claimed(run, resume=False, overwrite=True):
        assert not list(run.iterdir())


def test_a_replaced_run_is_back_whatever_ended_the_new_one(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(MeddenoiseError):
        fail(run, MeddenoiseError("the loss is not finite"), "log")
    assert [path.name for path in run.iterdir()] == ["log"]
    with pytest.raises(MeddenoiseError):
        fail(run, MeddenoiseError("the loss is not finite"), "other")
    assert [path.name for path in run.iterdir() if path.name != ".lock"] == ["log"]


def test_a_linked_run_is_replaced_where_it_lies(tmp_path: Path) -> None:
    far, link = tmp_path / "far", tmp_path / "link"
    far.mkdir()
    (far / "config.yaml").write_text("old")
    link.symlink_to(far)
    with pytest.raises(ConfigError):
        fail(link, ConfigError("no"), "tensorboard")
    assert (far / "config.yaml").read_text() == "old"
    with claimed(link, resume=False):
        (link / "config.yaml").write_text("new")
    assert link.is_symlink()
    assert [path.name for path in far.iterdir()] == ["config.yaml"]
    assert (far / "config.yaml").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far", "link"]
