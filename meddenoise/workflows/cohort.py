"""All scans of one call: here one after the other, a share of them, or on a cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from meddenoise.workflows.batch import Batch, Outcome, Progress
from meddenoise.workflows.places import Job

__all__ = ["denoise_cohort"]


def denoise_cohort(
    jobs: Sequence[Job],
    batch: Batch,
    how: Mapping[str, Any],
    *,
    inputs: Collection[str] | None = None,
    shared: bool = False,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """One outcome a job.

    Args:
        jobs: what is to be done.
        batch: how, in this process.
        how: the same for another process: what
            :func:`~meddenoise.workflows.ways.way_to_denoise` takes.
        inputs: the real paths of all that the call and the other shares read, which is not
            replaced; those of the jobs if ``None``.
        shared: the jobs are a share of more.
        cluster: see :func:`meddenoise.workflows.cluster.check_cluster`.
        progress: called with the finished fraction.

    Raises:
        InputError: the only scan there is fails, or there is no such cluster.
    """
    if cluster is not None:
        from meddenoise.workflows.cluster import denoise_on_cluster

        return denoise_on_cluster(
            cluster,
            jobs,
            how,
            inputs=inputs,
            overwrite=batch.overwrite,
            writing=batch.writing,
            progress=progress,
        )
    if len(jobs) == 1 and not shared:
        return [batch.after(jobs[0], batch.one(jobs[0], progress))]
    return batch.all(jobs, progress, inputs=inputs)
