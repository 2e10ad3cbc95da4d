from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from meddenoise.errors import OutputError
from meddenoise.workflows.study_file import (
    CALL,
    NAME,
    PROCESS,
    STUDY,
    end_killed,
    end_lost,
    open_study,
    storage_of,
)
from meddenoise.workflows.study_process import this_process

optuna = pytest.importorskip("optuna")


@pytest.mark.parametrize("name", ["plain", "a?b=c", "p%20q", "{x}", "h#x", "größe 1"])
def test_the_file_lies_in_the_directory_whatever_its_name(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    study = open_study(optuna, directory, "minimize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert [path.name for path in tmp_path.rglob("*.sqlite3")] == [STUDY]
    assert (directory / STUDY).is_file()
    again = optuna.load_study(study_name=NAME, storage=storage_of(optuna, directory))
    assert len(again.trials) == 2


def test_a_file_that_is_no_study(tmp_path: Path) -> None:
    (tmp_path / STUDY).write_text("nonsense")
    with pytest.raises(OutputError, match=r"cannot be used as a study .*move it away"):
        open_study(optuna, tmp_path, "minimize")
    assert (tmp_path / STUDY).read_text() == "nonsense"


def test_trials_whose_process_is_gone_have_failed(tmp_path: Path) -> None:
    study = open_study(optuna, tmp_path, "minimize")
    for call in (0, 1, 1):
        study.ask().set_user_attr(CALL, call)
    study.tell(2, 0.5)
    end_lost(optuna, tmp_path, 1)
    assert [trial.state.name for trial in study.trials] == ["RUNNING", "FAIL", "COMPLETE"]
    assert study.trials[1].user_attrs["fault"] == "its process was ended"
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)  # it goes on


def test_trials_of_a_killed_process_of_this_machine_have_failed(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here, own = this_process()
    study = open_study(optuna, tmp_path, "minimize")
    for process in ([here, ended.pid], [here, own], ["elsewhere", ended.pid]):
        study.ask().set_user_attr(PROCESS, process)
    study.ask()  # of an earlier version, which does not say
    end_killed(optuna, tmp_path)
    assert [trial.state.name for trial in study.trials] == ["FAIL", *["RUNNING"] * 3]
    assert study.trials[0].user_attrs["fault"] == "its process was killed"


def test_a_place_in_a_grid_whose_trial_was_ended_is_tried_again(tmp_path: Path) -> None:
    grid = {"x": [1, 2, 3]}
    open_study(optuna, tmp_path, "minimize")
    sampler = optuna.samplers.GridSampler(grid, seed=0)
    study = optuna.load_study(
        study_name=NAME, storage=storage_of(optuna, tmp_path), sampler=sampler
    )
    lost = study.ask()
    lost.set_user_attr(CALL, 0)
    lost.suggest_categorical("x", grid["x"])
    random = optuna.load_study(
        study_name=NAME,
        storage=storage_of(optuna, tmp_path),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    random.ask().set_user_attr(CALL, 0)  # of another sampler, which has no places
    end_lost(optuna, tmp_path, 0)
    study.optimize(lambda trial: trial.suggest_categorical("x", grid["x"]), n_trials=9)
    assert sorted(trial.value for trial in study.trials if trial.value is not None) == [1, 2, 3]


def test_a_trial_that_ends_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(optuna, tmp_path, "minimize")
    trials = [study.ask(), study.ask()]
    for trial in trials:
        trial.set_user_attr(PROCESS, [this_process()[0], 2**30])

    def ending(process: object) -> bool:
        if study.trials[0].state.name == "RUNNING":
            study.tell(trials[0], 1.0)
        return True

    monkeypatch.setattr("meddenoise.workflows.study_file.is_gone", ending)
    end_killed(optuna, tmp_path)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL"]
