"""Processes that share the trials of one call of ``tune``."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from typing import Any

__all__ = ["share_out", "watching"]

_SECONDS = 1.0

Work = Callable[[int, tuple[int, ...]], str]


def share_out(
    work: Work, trials: int, workers: int, seeds: tuple[int, ...], watch: Callable[[], None]
) -> str:
    """Do the trials in several processes.

    What a trial warns of is warned of here, when all are done: another process would print it in
    Python's own way.

    Args:
        work: takes how many trials and seeds, and returns why the last that failed did, or ``""``;
            it can be sent to another process.
        trials: in all.
        workers: processes.
        seeds: of this call; each process adds its number.
        watch: called now and then while they are at work, and at the end.

    Returns:
        Why a trial failed, if one did.
    """
    shares = [trials // workers + (n < trials % workers) for n in range(workers)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        jobs = [
            pool.submit(_listened_to, work, share, (*seeds, n))
            for n, share in enumerate(shares)
            if share
        ]
        pending = set(jobs)
        while pending:
            _, pending = wait(pending, timeout=_SECONDS, return_when=FIRST_COMPLETED)
            watch()
    results = [job.result() for job in jobs]
    for said in dict.fromkeys(text for _, warned in results for text in warned):
        warnings.warn(said, stacklevel=2)
    return next((why for why, _ in results if why), "")


def watching(
    study: Any, objective: str, progress: Callable[[str], None] | None
) -> Callable[[], None]:
    """A function that tells, each time it is called, of trials that have ended since.

    Args:
        study: of Optuna.
        objective: its name.
        progress: called with a line for each trial.
    """
    told = {trial.number for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()}

    def watch() -> None:
        for trial in study.get_trials(deepcopy=False):
            if progress is None or trial.number in told or not trial.state.is_finished():
                continue
            told.add(trial.number)
            state = trial.state.name.lower()
            if state == "complete":
                progress(f"trial {trial.number}: {objective} {trial.value:.4g}")
            elif state == "pruned":
                progress(f"trial {trial.number} was stopped early")
            else:
                progress(f"trial {trial.number} failed: {trial.user_attrs.get('fault', '')}")

    return watch


def _listened_to(work: Work, trials: int, seeds: tuple[int, ...]) -> tuple[str, list[str]]:
    """In a worker: the work, and what it warned of."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=r"meddenoise\.")
        why = work(trials, seeds)
    return why, [str(one.message) for one in heard]
