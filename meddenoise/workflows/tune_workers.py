"""Processes that share the trials of one call of ``tune``."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from meddenoise.errors import MeddenoiseError
from meddenoise.signals import unwind

__all__ = ["share_out", "watching"]

_SECONDS = 1.0

_KILLED = (
    "Processes that shared the trials were killed ({count} of {all}), perhaps for want of memory: "
    "what was left of their trials was not done. Call it again to go on, with fewer --workers."
)
_STOPPED = (
    "Processes that shared the trials were stopped ({count} of {all}): what was left of their "
    "trials was not done. Call it again to go on."
)
# By which a shell tells of a process that a signal has ended.
_BY_SIGNAL = 128

Work = Callable[[int, tuple[int, ...]], str]

# The fault that ended the work; where that was, or why a trial failed; what was warned of.
_Answer = tuple[Exception | None, str, list[str]]


def share_out(
    work: Work, trials: int, workers: int, seeds: tuple[int, ...], watch: Callable[[], None]
) -> str:
    """Do the trials in several processes.

    What a trial warns of is warned of here, when all are done: another process would print it in
    Python's own way. A process that is killed or stopped is warned of as well, and the others go
    on. None of them outlives this process, nor the call.

    Args:
        work: takes how many trials and seeds, and returns why the last that failed did, or ``""``;
            it can be sent to another process.
        trials: in all.
        workers: processes.
        seeds: of this call; each process adds its number.
        watch: called now and then while they are at work, and at the end.

    Returns:
        Why a trial failed, if one did.

    Raises:
        MeddenoiseError: a process could not be started, or ended itself.
    """
    shares = [trials // workers + (n < trials % workers) for n in range(workers)]
    context = multiprocessing.get_context("spawn")
    processes = []
    pending: list[Any] = []
    answers: dict[Any, _Answer | None] = {}
    try:
        for n, share in enumerate(shares):
            if not share:
                continue
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_worker, args=(theirs, work, share, (*seeds, n)))
            process.start()
            theirs.close()  # or its end could not be seen here
            processes.append(process)
            pending.append(ours)
            answers[ours] = None
        while pending:
            for ready in wait(pending, timeout=_SECONDS):
                pending.remove(ready)
                answers[ready] = _answer(ready)
            watch()
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join()
    came = [answer for answer in answers.values() if answer is not None]
    for fault, where, _ in came:
        if fault is not None:
            raise fault from RuntimeError(f"In a process that shared the trials:\n{where}")
    silent = [
        process.exitcode or 0
        for process, answer in zip(processes, answers.values(), strict=True)
        if answer is None
    ]
    for status in silent:
        if 0 <= status < _BY_SIGNAL:
            raise MeddenoiseError(
                f"A process that shared the trials ended with status {status}: see what it printed "
                "(a script that calls tune does so under 'if __name__ == \"__main__\":')."
            )
    said = dict.fromkeys(text for _, _, warned in came for text in warned)
    killed = sum(status < 0 for status in silent)
    for what, count in ((_KILLED, killed), (_STOPPED, len(silent) - killed)):
        if count:
            said[what.format(count=count, all=len(answers))] = None
    for text in said:
        warnings.warn(text, stacklevel=2)
    return next((why for _, why, _ in came if why), "")


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


def _answer(ready: Any) -> _Answer | None:
    """What a process sent; ``None`` of one that was killed or stopped."""
    try:
        sent: _Answer = ready.recv()
    except (EOFError, OSError):
        return None
    return sent


def _worker(answer: Connection, work: Work, trials: int, seeds: tuple[int, ...]) -> None:
    """In a process of its own: the work, and what came of it."""
    from meddenoise.training.engine import Interrupted

    signal.signal(signal.SIGTERM, unwind)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        answer.send((None, *_listened_to(work, trials, seeds)))
    except (KeyboardInterrupt, Interrupted):
        sys.exit(_BY_SIGNAL + signal.SIGTERM)
    except BrokenPipeError:
        pass  # nobody waits any more
    except Exception as fault:
        where = "".join(traceback.format_exception(type(fault), fault, fault.__traceback__))
        answer.send((_sendable(fault), where, []))


def _end_with_parent() -> None:
    """A parent that was killed could not stop this process itself."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _sendable(fault: Exception) -> Exception:
    """The fault, or of one that cannot be sent to another process what it says."""
    try:
        pickle.loads(pickle.dumps(fault))
    except Exception:
        return RuntimeError(f"{type(fault).__name__}: {fault}")
    return fault


def _listened_to(work: Work, trials: int, seeds: tuple[int, ...]) -> tuple[str, list[str]]:
    """The work, and what it warned of."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=r"meddenoise\.")
        why = work(trials, seeds)
    return why, [str(one.message) for one in heard]
