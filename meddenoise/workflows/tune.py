"""Searches a configuration's keys for the best validation, trial by trial."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from meddenoise.config import Config, dump, load, parse
from meddenoise.config.space import Choice, Span, load_space
from meddenoise.errors import ConfigError, InputError, MissingDependency, OutputError
from meddenoise.io import atomic_file
from meddenoise.io.named import path_of
from meddenoise.workflows.importance import importance_of_keys
from meddenoise.workflows.study_file import (
    CALL,
    NAME,
    PROCESS,
    STUDY,
    end_killed,
    end_lost,
    give_back,
    open_study,
    same_study,
    storage_of,
)
from meddenoise.workflows.study_process import this_process
from meddenoise.workflows.study_record import begin_call, end_call
from meddenoise.workflows.tune_keys import check_keys, objective_in, with_keys
from meddenoise.workflows.tune_workers import share_out, watching

__all__ = ["Tuned", "tune"]

Sampler = Literal["tpe", "grid", "random"]

# Optuna's samplers take no larger one.
_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Tuned:
    """What a search found so far.

    Attributes:
        directory: holds ``best.yaml``, ``trials.csv``, ``importance.*``, ``provenance.json``, the
            study and all runs.
        objective: ``"psnr"`` (larger is better) or ``"risk"`` (smaller is better), of validation.
        best: the values of the keys that gave the best.
        value: the objective there.
        finished, pruned, failed: how many trials, over all calls and workers.
        importance: the share of each key in the objective's variance (fANOVA); empty if it cannot
            be told.
        no_importance: why it cannot be told, a sentence; else ``""``.
    """

    directory: Path
    objective: str
    best: Mapping[str, Any]
    value: float
    finished: int
    pruned: int
    failed: int
    importance: Mapping[str, float]
    no_importance: str = ""


def tune(
    config: Config | Mapping[str, Any] | str | Path,
    space: Mapping[str, Any] | str | Path,
    *,
    trials: int,
    overrides: Iterable[str] = (),
    output: str | Path | None = None,
    sampler: Sampler = "tpe",
    prune: bool = True,
    seed: int = 0,
    workers: int = 1,
    device: str = "auto",
    progress: Callable[[str], None] | None = None,
) -> Tuned:
    """Train with one choice of keys after another, and keep the one that validates best.

    The objective is the PSNR of validation patches where their truth is known, else Stein's
    estimate of the error (``risk``), which needs no truth; never the loss of a blind spot, which
    falls on while structure is lost. All trials see the same patches and the same noise.

    The study is a SQLite file in ``output``: called again, a search goes on, and several processes
    (on one machine or file system) work on one study when they are given the same directory.

    Args:
        config: a YAML file, its contents, or a :class:`Config`.
        space: the keys to search, see :func:`meddenoise.config.space.load_space`; any key of a
            configuration.
        trials: how many this call does; for ``grid`` at most as many as there are combinations,
            of which several workers may do the last ones twice.
        overrides: ``key.sub=value`` each, for all trials.
        output: the directory; by default ``runs/tune``.
        sampler: ``tpe`` (tree-structured Parzen estimators), ``random`` or ``grid``.
        prune: stop a trial whose validation is worse than the median of earlier ones at that step.
        seed: of the search; the configuration's is that of training. Give each of several calls
            that are started at once another.
        workers: processes of this call, which share ``trials``.
        device: ``"auto"``, ``"cpu"``, ...
        progress: called with a line for each trial.

    Raises:
        ConfigError: the space, a configuration in it, a study of other keys, or an impossible
            seed or number of trials or workers.
        MissingDependency: Optuna is not installed.
        OutputError: the directory cannot be written, or holds something else.
        InputError: no trial came to its end; the message says why the last did not.
    """
    from meddenoise.training.lock import run_lock

    optuna = _optuna()
    base = _base(config, overrides)
    axes = load_space(space)
    if trials < 1:
        raise ConfigError(f"--trials {trials}: give 1 or more.")
    if workers < 1:
        raise ConfigError(f"--workers {workers}: give 1 or more.")
    if not 0 <= seed <= _LARGEST_SEED:
        raise ConfigError(f"--seed {seed}: give a whole number from 0 to {_LARGEST_SEED}.")
    check_keys(base, axes)
    objective, direction = objective_in(base, axes)
    told = {
        "config": base.model_dump(mode="json", exclude_unset=True),
        "space": {key: axis.describe() for key, axis in axes.items()},
    }
    _sampler(optuna, sampler, axes, seed)  # what is wrong with it is said before a study is made
    directory = path_of(output or "runs/tune")
    _claim(directory)
    # Of calls that are started at once, one makes the study.
    with run_lock(directory, wait=True):
        study = open_study(optuna, directory, direction)
        same_study(study, told, objective)
        end_killed(optuna, directory)
        if "seed" not in study.user_attrs:
            study.set_user_attr("seed", seed)
        settings = {"sampler": sampler, "prune": prune, "trials": trials, "workers": workers}
        call = begin_call(
            directory, device=device, seed=seed, optuna=optuna.__version__, settings=settings
        )
    # A search that goes on, or is joined, does not draw again what was drawn.
    drawn = len(study.get_trials(deepcopy=False))
    work = partial(
        _work, told, directory, call=call, objective=objective,
        sampler=sampler, prune=prune, device=device,
    )  # fmt: skip
    watch = watching(study, objective, progress)
    try:
        if workers == 1:
            why = work(trials, (seed, drawn, 0), progress=progress)
        else:
            why = share_out(work, trials, workers, (seed, drawn), watch)
    finally:
        end_lost(optuna, directory, call)
    if workers > 1:
        watch()
    with run_lock(directory, wait=True):
        end_call(directory, call)
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    done = states.count(optuna.trial.TrialState.COMPLETE)
    if not done:
        raise ConfigError(f"No trial came to its end. {why}".rstrip())
    picked = {key: axes[key].value(stored) for key, stored in study.best_params.items()}
    found = Tuned(
        directory,
        objective,
        picked,
        float(study.best_value),
        done,
        states.count(optuna.trial.TrialState.PRUNED),
        states.count(optuna.trial.TrialState.FAIL),
        *importance_of_keys(optuna, study),
    )
    _save(found, study, axes, with_keys(base, picked))
    return found


def _work(
    told: Mapping[str, Any],
    directory: Path,
    trials: int,
    seeds: tuple[int, ...],
    *,
    progress: Callable[[str], None] | None = None,
    call: int,
    objective: str,
    sampler: Sampler,
    prune: bool,
    device: str,
) -> str:
    """One process's trials; why the last that failed did, or ``""``."""
    from meddenoise.training.engine import Diverged, Interrupted

    optuna = _optuna()
    base, axes = parse(told["config"]), load_space(told["space"])
    # A learning rate that is too high is a finding of the search, not its end.
    faults = (InputError, Diverged)
    never = optuna.pruners.NopPruner()
    storage = storage_of(optuna, directory)
    # Combinations of a grid have numbers in the order of its seed: one seed for all who join in.
    first = optuna.load_study(study_name=NAME, storage=storage).user_attrs["seed"]
    seed = first if sampler == "grid" else int(np.random.SeedSequence(seeds).generate_state(1)[0])
    study = optuna.load_study(
        study_name=NAME,
        storage=storage,
        sampler=_sampler(optuna, sampler, axes, seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
        if prune
        else never,
    )
    why = [""]

    def one(trial: Any) -> float:
        trial.set_user_attr(CALL, call)
        trial.set_user_attr(PROCESS, this_process())
        picked = {key: axis.ask(trial, key) for key, axis in axes.items()}
        if progress:
            said = ", ".join(f"{key}={value}" for key, value in picked.items())
            progress(f"trial {trial.number}: {said}")
        place = directory / "trials" / str(trial.number)
        try:
            value = _run(optuna, trial, with_keys(base, picked), objective, place, device, prune)
        except faults as fault:
            why[0] = f"The last said: {fault}"
            trial.set_user_attr("fault", str(fault))
            if progress:
                progress(f"trial {trial.number} failed: {fault}")
            raise
        except Interrupted:
            give_back(storage, trial.number, "it was stopped")
            raise Interrupted("Stopped: the same call goes on with the study.") from None
        if progress:
            progress(f"trial {trial.number}: {objective} {value:.4g}")
        return value

    study.optimize(one, n_trials=trials, catch=faults)
    return why[0]


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingDependency('Tuning needs Optuna: pip install "meddenoise[tune]".') from None
    # It warns of every trial that fails, with a traceback; we say why in a line.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _base(config: Config | Mapping[str, Any] | str | Path, overrides: Iterable[str]) -> Config:
    if isinstance(config, (str, Path)):
        return load(config, overrides)
    if isinstance(config, Config):
        # What was not set stays so: some of it follows from the scans.
        config = config.model_dump(mode="json", exclude_unset=True)
    return parse(config, overrides)


def _claim(directory: Path) -> None:
    if directory.is_file():
        raise OutputError(f"{directory} is a file: choose another --output.")
    from meddenoise.training.lock import LOCK

    held = directory.exists() and {file.name for file in directory.iterdir()} - {LOCK}
    if held and not (directory / STUDY).exists():
        raise OutputError(f"{directory} holds other things than a study: choose another --output.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OutputError(f"{directory} cannot be made: {fault.strerror}.") from None


def _sampler(optuna: Any, name: str, axes: Mapping[str, Choice | Span], seed: int) -> Any:
    if name == "grid":
        return optuna.samplers.GridSampler({k: a.grid(k) for k, a in axes.items()}, seed=seed)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "tpe":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    raise ConfigError(f"There is no sampler {name!r}: tpe, grid or random.")


def _run(
    optuna: Any,
    trial: Any,
    config: Config,
    objective: str,
    place: Path,
    device: str,
    prune: bool,
) -> float:
    """One training; its last validation. It is stopped where it is not worth going on."""
    from meddenoise.training.listening import Listener, StopTraining, listening
    from meddenoise.workflows.train import train

    seen: list[float] = []

    def look(step: int, values: Mapping[str, float]) -> None:
        value = values.get(objective)
        if value is None or not math.isfinite(value):
            return
        seen.append(value)
        trial.report(value, len(seen))
        if prune and trial.should_prune():
            raise StopTraining

    changes: dict[str, Any] = {}
    if objective == "risk" and config.training.patience is None:
        # The risk is measured where patience asks for it; this one never ends a run.
        changes = {"patience": config.training.steps}
    settings = config.training.model_copy(update={**changes, "trackers": []})
    listener: Listener = look
    shutil.rmtree(place, ignore_errors=True)
    try:
        with listening(listener):
            train(
                config.model_copy(update={"training": settings}),
                output=place,
                device=device,
                progress=False,
            )
    except StopTraining:
        raise optuna.TrialPruned from None
    if not seen:
        raise ConfigError(
            f"Validation gave no {objective}: the truth is not known and neither is the noise's "
            "level. Give data.targets or a noise section."
        )
    return seen[-1]


def _save(found: Tuned, study: Any, axes: Mapping[str, Choice | Span], best: Config) -> None:
    from meddenoise.report.figures import importance, save_figures

    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["trial", "state", found.objective, "seconds", *axes, "fault"])
    for trial in study.get_trials(deepcopy=False):
        spent = "" if trial.duration is None else f"{trial.duration.total_seconds():.1f}"
        picked = [
            json.dumps(axis.value(trial.params[key])) if key in trial.params else ""
            for key, axis in axes.items()
        ]
        fault = trial.user_attrs.get("fault", "")
        value = "" if trial.value is None else trial.value
        table.writerow([trial.number, trial.state.name.lower(), value, spent, *picked, fault])
    run = found.directory / "trials" / str(study.best_trial.number) / "config.yaml"
    if "patch" not in best.data.model_fields_set and run.is_file():
        # What is written down counts as chosen: it is to be the patch that the trial had.
        own = load(run).data
        grown = {} if own.patch_from is None else {"data.patch_from": own.patch_from}
        best = with_keys(best, {"data.patch": own.patch, **grown})
    for name, content in (("best.yaml", dump(best)), ("trials.csv", text.getvalue())):
        with atomic_file(found.directory / name, overwrite=True) as temporary:
            temporary.write_text(content, encoding="utf-8")
    if found.importance:
        save_figures(found.directory, {"importance": importance(found.importance)})
