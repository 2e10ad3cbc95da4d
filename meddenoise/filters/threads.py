"""Pieces of an image on several cores at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_threads", "keep_on"]

Job = TypeVar("Job")
Result = TypeVar("Result")

_HERE = threading.local()


class _Ended(Exception):
    """Nobody waits for the result any more; it reaches nobody."""


def in_threads(function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    """``function`` of each job, in the order of the jobs, on as many cores as torch may use.

    Each job has one core for all its tensor operations. Torch's own threads would share every
    operation and wait for each other after it: that gains less on a quiet machine, and where other
    processes want the cores, waiting costs many times the work.

    Args:
        function: of tensors, without gradients; it may not depend on the order of jobs.
        jobs: all known before the first begins.

    Yields:
        The results; the first error of a job is raised in its place.
    """
    import torch

    ended = threading.Event()

    def alone(job: Job) -> Result:
        _HERE.ended = ended
        with torch.inference_mode():  # which every thread says for itself
            return function(job)

    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from pool.map(alone, jobs)
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)
        # What a thread sets for itself becomes the default of those to come.
        torch.set_num_threads(threads)


def keep_on() -> None:
    """For long jobs of :func:`in_threads` to call now and then: ends one whose result nobody wants.

    After Ctrl-C, SIGTERM or the error of another job, what has begun would be waited for.
    """
    ended = getattr(_HERE, "ended", None)
    if ended is not None and ended.is_set():
        raise _Ended
