"""A noisy scan in, a denoised one out, in its own format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from meddenoise.errors import ParameterError
from meddenoise.io import read
from meddenoise.volume import Volume
from meddenoise.workflows.batch import (
    Batch,
    Outcome,
    Progress,
    check_contents,
    inputs_of,
    way_to_denoise,
)
from meddenoise.workflows.cohort import denoise_cohort
from meddenoise.workflows.kept_noise import KeptNoise
from meddenoise.workflows.places import plan
from meddenoise.workflows.shards import parse_shard, shard_of

__all__ = ["Outcome", "denoise", "denoise_files"]


def denoise(
    scan: Volume | ArrayLike | str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    sigma: str | float | None = None,
    stabilise: str | None = None,
    debias: bool = False,
    coils: int | None = None,
    budget: float | None = None,
    adapt: float | None = None,
    strength: float = 1.0,
    units: str | None = None,
    series: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Volume:
    """The denoised scan, in memory.

    Args:
        scan: a volume, an array ``(X, Y[, Z])``, or a path that :func:`meddenoise.read` takes. What
            a masked array masks was not measured, and comes out as it was.
        model: a model file, or
        method: the name of a filter (``"bm4d"``, ``"median"``, ...), or ``"auto"``, which looks at
            the scan's noise and chooses, and says what and why in a warning. Without either, the
            network that ships with meddenoise is taken, and what it assumes is said in a warning.
        options: the filter's, by name; :func:`meddenoise.workflows.methods.list_methods` tells
            those of each. Or how a network is run: ``precision``, ``memory``, ``flips``, ...
        sigma: the noise's standard deviation in image units, or ``"10%"`` of the scan's 99.9th
            percentile, for a filter, a model with a noise map, the stabilisation or the bias;
            estimated where needed if None.
        stabilise: ``"auto"``, ``"none"``, ``"rician"`` (magnitude MRI) or ``"anscombe"`` (counted
            photons): denoise the scan with its noise made Gaussian, and bring the result back
            without bias. If None a model does as it was trained, a filter nothing, and ``"auto"``
            and the network that ships what the noise asks for.
        debias: take the bias of Rician noise off the result instead.
        coils: whose sum of squares a magnitude image is; 1 if None, or the model's.
        budget: seconds that ``"auto"`` may train on the scan, from 30 on; None for not at all.
        adapt: seconds that the network that ships may take to do better on the scan than it does at
            once: BM4D's say, and what is learnt from the scan itself; None for none.
        strength: how much of what is found to be noise is taken away, 0 to 1.
        units: ``"HU"`` for CT in a format without a place for it (all but DICOM): its noise is then
            estimated in soft tissue.
        series: which DICOM series, where ``scan`` is a directory that holds several.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ... for a network; filters without one compute
            on the processor.
        progress: called with the finished fraction, by a model and the network that ships; a filter
            calls it not.

    Returns:
        The same grid, units and header; write it with :func:`meddenoise.write`.

    Raises:
        ParameterError: both ``model`` and ``method``, an impossible option, one that the method
            does not look at (a sigma for ``"median"``), a stabilisation that does not fit the scan,
            units that its header contradicts, or a series of a scan that is in memory.
        ConfigError: no such method or option.
        MissingDependency: the method needs an optional package.
        InputError: the scan or the model cannot be used.
        FileError: a scan without a finite voxel, or a constant one.
    """
    if isinstance(scan, (str, os.PathLike)):
        volume = read(scan, series=series)
    elif series is not None:
        raise ParameterError("series chooses among the files of a directory: leave it out here.")
    elif isinstance(scan, Volume):
        volume = scan
    else:
        volume = Volume.from_array(scan)
    way = way_to_denoise(
        model,
        method,
        device,
        options=options,
        sigma=sigma,
        stabilise=stabilise,
        debias=debias,
        coils=coils,
        budget=budget,
        adapt=adapt,
        strength=strength,
        units=units,
    )
    check_contents(volume, os.fspath(scan) if isinstance(scan, (str, os.PathLike)) else "the scan")
    return way.run(volume, progress)


def denoise_files(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    sigma: str | float | None = None,
    stabilise: str | None = None,
    debias: bool = False,
    coils: int | None = None,
    budget: float | None = None,
    adapt: float | None = None,
    strength: float = 1.0,
    units: str | None = None,
    keep_noise: str | os.PathLike[str] | None = None,
    series: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    shard: str | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
    **writing: Any,
) -> list[Outcome]:
    """Denoise a scan, or every scan in a directory, into files of the same formats.

    The ``.json``, ``.bval`` and ``.bvec`` beside a NIfTI go along, under the result's name.

    Args:
        source: a scan, a DICOM directory, a directory of scans, or a glob.
        output: a file for one scan; a directory for a DICOM series or for several scans, which
            get the names they have below ``source``.
        model: a model file, or
        method: the name of a filter.
        options: the filter's, by name.
        sigma: the noise's standard deviation, as in :func:`denoise`.
        stabilise: as there.
        debias: as there.
        coils: as there.
        budget: as there, for each scan.
        adapt: as there, for each scan.
        strength: as there.
        units: as there, of all scans.
        keep_noise: where to write input minus result: a file, or for several scans a directory.
            It has negative numbers: PNG cannot hold them, and pictures get ``.tif`` in a directory.
        series: which DICOM series, where a directory holds several.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        overwrite: replace existing outputs (never inputs).
        shard: ``"i/n"``: only the i-th of n shares of the scans; ``"slurm"``: that of this task of
            a job array.
        cluster: ``"local:N"`` processes, ``"tcp://HOST:PORT"`` of a Dask scheduler, or ``"slurm"``:
            where scans are denoised; every worker must see the files under the same names.
        progress: called with the finished fraction.
        writing: what else :func:`meddenoise.io.write` takes: ``dtype``, ``compress``, ...

    Returns:
        One outcome a scan. Of several scans, one that fails does not stop the others.

    Raises:
        InputError: nothing could be done: no such input, no such model, an output in the way.
    """
    share = None if shard is None else parse_shard(shard)
    if cluster is not None:
        from meddenoise.workflows.cluster import check_cluster

        check_cluster(cluster)
    how: dict[str, Any] = {
        "model": None if model is None else os.fspath(model),
        "method": method,
        "device": device,
        "options": dict(options or {}),
        "sigma": sigma,
        "stabilise": stabilise,
        "debias": debias,
        "coils": coils,
        "budget": budget,
        "adapt": adapt,
        "strength": strength,
        "units": units,
    }
    way = way_to_denoise(**how)
    besides = () if keep_noise is None else (keep_noise,)
    jobs = plan(source, output, series=series, besides=besides)
    noise = KeptNoise.of(
        jobs,
        source,
        keep_noise,
        series=series,
        overwrite=overwrite,
        allow_irregular=bool(writing.get("allow_irregular", False)),
    )
    inputs = inputs_of(jobs)  # the other shares', too
    if share is not None:
        jobs = shard_of(jobs, share)
    noise.check(jobs, resumes=len(jobs) > 1 or share is not None or cluster is not None)
    batch = Batch(way, overwrite, writing, after=noise.keep)
    outcomes = denoise_cohort(
        jobs,
        batch,
        how,
        inputs=inputs,
        shared=share is not None,
        cluster=cluster,
        progress=progress,
    )
    if cluster is None:
        return outcomes
    # Workers write results only.
    return [noise.keep(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]
