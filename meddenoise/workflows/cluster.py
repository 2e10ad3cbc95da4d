"""Many scans on many machines by Dask: paths travel, and never voxels.

Each worker loads a model once and denoises one scan at a time. The scheduler gives a worker's scans
to others when it dies; a result appears whole or not at all, so nothing has to be cleaned up.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from meddenoise.errors import InputError, MissingDependency, ParameterError
from meddenoise.io.named import path_of
from meddenoise.workflows.batch import Batch, Outcome, inputs_of
from meddenoise.workflows.places import Job
from meddenoise.workflows.ways import Progress, way_to_denoise

__all__ = ["check_cluster", "denoise_on_cluster"]

# Workers that may die over one scan before it counts as failed: it may be the scan.
_DEATHS = 2
_SLURM_JOBS = 4

# What this process, as a worker, was last asked to do with scans.
_batches: dict[str, Batch] = {}


def check_cluster(said: str) -> None:
    """Raise for a cluster that cannot be, before anything is read.

    Raises:
        ParameterError: none of ``local:N``, ``tcp://HOST:PORT``, ``slurm`` and ``slurm:N``.
        MissingDependency: Dask, or for Slurm dask-jobqueue, is not installed.
    """
    if not re.fullmatch(r"(local|slurm):[1-9]\d*|slurm|(tcp|tls)://[^/\s]+:\d+", said):
        raise ParameterError(
            f"--cluster is {said}: say local:N for N processes on this machine, tcp://HOST:PORT of "
            "a Dask scheduler, or slurm or slurm:N for N jobs."
        )
    needed = ["distributed", *(["dask_jobqueue"] if said.startswith("slurm") else [])]
    for name in needed:
        try:
            __import__(name)
        except ImportError:
            raise MissingDependency(
                f'--cluster {said} needs {name}: pip install "meddenoise[cluster]".'
            ) from None


def denoise_on_cluster(
    said: str,
    jobs: Sequence[Job],
    how: Mapping[str, Any],
    *,
    inputs: Collection[str] | None = None,
    overwrite: bool = False,
    writing: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """One outcome a job, in their order; one that fails does not stop the others.

    Args:
        said: see :func:`check_cluster`.
        jobs: scans, whose files every worker must see under the same names.
        how: what :func:`~meddenoise.workflows.ways.way_to_denoise` takes.
        inputs: the real paths that are not replaced, where others read scans as well; those of
            the jobs if ``None``.
        overwrite: replace existing outputs (never inputs).
        writing: what else :func:`meddenoise.io.write` takes.
        progress: called with the finished fraction.

    Raises:
        InputError: no such cluster, or none that answers.
    """
    check_cluster(said)
    from distributed import as_completed

    settings = {
        "how": {**how, "model": _absolute(how.get("model"))},
        "overwrite": overwrite,
        "writing": dict(writing or {}),
    }
    outcomes: dict[int, Outcome] = {}
    sent: dict[Any, int] = {}
    kept = inputs_of(jobs) if inputs is None else inputs
    taken: set[Path] = set()
    with _client(said) as client:
        for number, job in enumerate(jobs):
            fault = _in_the_way(job, taken, kept)
            taken.add(job.target)
            if fault is not None:
                outcomes[number] = Outcome(str(job.scan.path), None, 0.0, error=fault)
                continue
            there = replace(
                job,
                scan=replace(job.scan, path=job.scan.path.absolute()),
                target=job.target.absolute(),
            )
            future = client.submit(_denoise, settings, there, pure=False, retries=0)
            sent[future] = number
        for future in as_completed(list(sent)):
            number = sent[future]
            outcomes[number] = _heard(future, jobs[number])
            future.release()
            if progress:
                progress(len(outcomes) / len(jobs))
    return [outcomes[number] for number in range(len(jobs))]


def _absolute(model: Any) -> str | None:
    """Workers have directories of their own."""
    return None if model is None else str(path_of(model).absolute())


def _in_the_way(job: Job, taken: Collection[Path], inputs: Collection[str]) -> str | None:
    """Why a scan is not sent: no worker sees what the others read and write."""
    if os.path.realpath(job.target) in inputs:
        return f"{job.target} is another input, and inputs are never overwritten."
    if job.target in taken:
        return f"{job.target} is the result of another scan of the same name already."
    return None


def _denoise(settings: dict[str, Any], job: Job) -> Outcome:
    """On a worker: one scan, by the model that the first one loaded."""
    key = repr(settings)
    if key not in _batches:
        _batches.clear()
        way = way_to_denoise(**settings["how"])
        _batches[key] = Batch(way, settings["overwrite"], settings["writing"])
    outcome = _batches[key].tried(job)
    return replace(outcome, notes=(*outcome.notes, f"denoised by process {os.getpid()}"))


def _heard(future: Any, job: Job) -> Outcome:
    from distributed import KilledWorker

    fault = future.exception()
    if fault is None:
        outcome: Outcome = future.result()
        return replace(outcome, input=str(job.scan.path))
    if isinstance(fault, InputError):
        why = str(fault)
    elif isinstance(fault, KilledWorker):
        why = (
            f"{_DEATHS + 1} workers died over it, perhaps for want of memory: denoise it alone, on "
            "a machine with more."
        )
    else:
        why = f"This is a fault of meddenoise ({type(fault).__name__}: {fault})."
    return Outcome(str(job.scan.path), None, 0.0, error=why)


@contextlib.contextmanager
def _client(said: str) -> Iterator[Any]:
    """A client of the cluster that is asked for; what was started for it is stopped again."""
    import dask
    from distributed import Client, LocalCluster

    kind, _, count = said.partition(":")
    quiet = {"distributed.scheduler.allowed-failures": _DEATHS}
    with dask.config.set(quiet), contextlib.ExitStack() as stack:
        if kind in ("tcp", "tls"):
            try:
                client = stack.enter_context(Client(said, timeout=5))
            except (OSError, TimeoutError) as fault:
                raise ParameterError(
                    f"No Dask scheduler answers at {said} ({fault}): start one there with "
                    "'dask scheduler', and workers with 'dask worker'."
                ) from None
            yield client
            return
        if kind == "slurm":
            from dask_jobqueue import SLURMCluster

            cluster = stack.enter_context(SLURMCluster())
            cluster.scale(jobs=int(count or _SLURM_JOBS))
        else:
            workers = int(count)
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    silence_logs="CRITICAL",
                    # Each its share of the cores; read when a worker starts.
                    env={"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers))},
                )
            )
        yield stack.enter_context(Client(cluster))
