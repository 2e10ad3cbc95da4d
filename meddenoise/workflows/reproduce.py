"""Runs a finished run again, and says whether it comes out the same."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from meddenoise.config import Config
from meddenoise.errors import ConfigError, OutputError
from meddenoise.io.named import path_of
from meddenoise.workflows.finished import FinishedRun, finished_run

__all__ = ["Reproduced", "reproduce"]

#: How far numbers may be apart and still agree: PSNR in dB, all others as a share of the first.
WITHIN_DB = 0.1
WITHIN_SHARE = 0.02

Verdict = Literal["identical", "agrees", "differs"]
_CONDITIONS = (
    "versions", "git", "processor", "platform", "threads", "processes", "device", "gpu"
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One number, before and now; ``None`` where there was or is none."""

    name: str
    before: float | None
    now: float | None
    agrees: bool


@dataclass(frozen=True)
class Reproduced:
    """What came of running a run again.

    Attributes:
        directory: of the new run.
        verdict: ``"identical"``: all weights and numbers are the same to the bit; ``"agrees"``:
            all numbers are within 0.1 dB (PSNR) or 2 % of what they were; ``"differs"``: not.
        weights: whether the model's weights are the same to the bit.
        numbers: every number, before and now.
        conditions: what was different from the first time, a sentence each.
    """

    directory: Path
    verdict: Verdict
    weights: bool
    numbers: tuple[Difference, ...]
    conditions: tuple[str, ...]


def reproduce(
    run: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    device: str | None = None,
    progress: bool = True,
) -> Reproduced:
    """Train again by the run's own configuration, seed, device and number of threads.

    Args:
        run: a finished run's directory. Paths in its configuration are looked up from where you
            are, as they were then.
        output: for the new run; by default beside it, with ``-again`` at the name's end.
        overwrite: replace an earlier one there.
        device: another than the run's.
        progress: show a bar.

    Raises:
        FileError: no finished run, or a scan that is gone.
        OutputError: ``output`` exists, or is the run itself.
        ConfigError: the run had another number of processes.
    """
    from meddenoise.workflows.train import train

    first = finished_run(run)
    place = path_of(output) if output else _again(first.directory)
    if place.resolve() == first.directory.resolve():
        raise OutputError(f"{place} is the run itself: choose another --output.")
    made = first.made_with
    processes, here = made.get("processes", 1), int(os.environ.get("WORLD_SIZE", "1"))
    if processes != here:
        raise ConfigError(
            f"{first.directory} was made by {processes} processes, and now there is {here}: start "
            f"'torchrun --nproc-per-node {processes} -m meddenoise reproduce ...'."
        )
    on = device or str(made.get("device") or "auto")
    with _threads(made.get("threads")):
        done = train(
            _computed_alike(first, on),
            output=place,
            overwrite=overwrite,
            device=on,
            progress=progress,
        )
    assert done is not None
    second = finished_run(place)
    numbers = tuple(_numbers(first, second))
    weights = _same_weights(first.directory, second.directory)
    exact = weights and all(one.before == one.now for one in numbers)
    verdict: Verdict = "differs"
    if exact:
        verdict = "identical"
    elif all(one.agrees for one in numbers):
        verdict = "agrees"
    return Reproduced(place, verdict, weights, numbers, tuple(_conditions(first, second)))


def _computed_alike(first: FinishedRun, device: str) -> Config:
    """The run's configuration; on its own kind of device with the precision and layout it took."""
    told = first.made_with.get("arithmetic") or {}
    if not told or str(first.made_with.get("device")).split(":")[0] != device.split(":")[0]:
        return first.config
    taken = {key: told[key] for key in ("precision", "layout")}
    training = first.config.training.model_copy(update=taken)
    return first.config.model_copy(update={"training": training})


def _again(directory: Path) -> Path:
    whole = directory.resolve()
    return whole.with_name(f"{whole.name}-again")


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """Sums in another number of threads round differently."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _numbers(first: FinishedRun, second: FinishedRun) -> Iterator[Difference]:
    before, now = _all(first), _all(second)
    for name in dict.fromkeys((*before, *now)):
        one, other = before.get(name), now.get(name)
        yield Difference(name, one, other, _agree(name, one, other, before))


def _all(run: FinishedRun) -> dict[str, float]:
    found = {f"{name} {side} {metric}": value for name, side, metric, value in run.scores()}
    found |= {f"validation {k}": float(v) for k, v in run.metrics["validation"].items()}
    found["steps"] = float(run.metrics["train"]["steps"])
    return found


def _agree(name: str, one: float | None, other: float | None, before: Mapping[str, float]) -> bool:
    if one is None or other is None:
        return False
    if "psnr" in name:
        return abs(one - other) <= WITHIN_DB
    scale = abs(one)
    if name.endswith(" bias"):  # near 0: as a share of the error that it is a part of
        scale = before.get(f"{name.removesuffix('bias')}rmse", scale)
    return abs(one - other) <= WITHIN_SHARE * scale


def _same_weights(first: Path, second: Path) -> bool:
    from safetensors.numpy import load_file

    name = "model.safetensors"
    if not (first / name).is_file():
        return False
    before, now = load_file(first / name), load_file(second / name)
    return before.keys() == now.keys() and all(
        np.array_equal(weights, now[key]) for key, weights in before.items()
    )


def _conditions(first: FinishedRun, second: FinishedRun) -> Iterator[str]:
    """What may explain a difference."""
    before, now = first.made_with, second.made_with
    for key in _CONDITIONS:
        one, other = before.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            for name in dict.fromkeys((*one, *other)):
                if one.get(name) != other.get(name):
                    yield f"{name} was {one.get(name)} and is {other.get(name)}."
        elif one != other:
            yield f"{key} was {one} and is {other}."
    took, takes = (made.get("arithmetic") or {} for made in (before, now))
    for key in ("precision", "layout"):  # and not who chose them
        if took and took[key] != takes.get(key):
            yield f"{key} was {took[key]} and is {takes.get(key)}."
    if before.get("git_changed") or now.get("git_changed"):
        yield "The package's checkout had changes that no commit holds."
    told: dict[str, Any] = before.get("data") or {}
    if not told:
        yield "The run says nothing of its data: whether they are the same is not known."
    data = now.get("data") or {}
    changed = [name for name, hash_ in told.items() if data.get(name) != hash_]
    if changed:
        yield f"The data are not the same: {', '.join(changed)}."
    if first.config.training.max_minutes is not None:
        yield "training.max_minutes ends a run by the clock: it cannot be the same to the bit."
