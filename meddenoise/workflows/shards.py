"""A share of the scans, for sites where jobs come in arrays."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from meddenoise.errors import ParameterError

__all__ = ["parse_shard", "shard_of"]

T = TypeVar("T")


def parse_shard(said: str, environment: Mapping[str, str] | None = None) -> tuple[int, int]:
    """``"2/8"`` is (2, 8): the second of eight shares; ``"slurm"`` asks the job array.

    Args:
        said: ``"i/n"`` with i from 1 to n, or ``"slurm"``.
        environment: where SLURM_ARRAY_TASK_ID and its like are; that of the process if ``None``.

    Raises:
        ParameterError: no such share, or no job array.
    """
    if said == "slurm":
        return _of_slurm(os.environ if environment is None else environment)
    found = re.fullmatch(r"(\d+)/(\d+)", said)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise ParameterError(
            f"--shard is {said}: say I/N, the I-th of N shares from 1/N to N/N, or slurm."
        )
    return number, count


def _of_slurm(environment: Mapping[str, str]) -> tuple[int, int]:
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX")
    try:
        task, first, last = (int(environment[name]) for name in names)
        step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1"))
        number, odd = divmod(task - first, step)
        count = (last - first) // step + 1
        tasks = int(environment.get("SLURM_ARRAY_TASK_COUNT", count))
    except (KeyError, ValueError, ZeroDivisionError):
        raise ParameterError(
            "--shard slurm is for a task of a Slurm job array (sbatch --array=1-8), whose "
            f"variables ({', '.join(names)}) are not set here: say --shard I/N."
        ) from None
    if odd or not 0 <= number < count:
        raise ParameterError(
            f"This task, {task}, is none of Slurm's job array from {first} to {last} by {step}: "
            "say --shard I/N."
        )
    if tasks != count:
        # Of --array=1,3,7 first and last are 1 and 7: nobody would do the shares in between.
        raise ParameterError(
            f"Slurm's job array has {tasks} tasks from {first} to {last}, with gaps, and the share "
            "of one cannot be told: say --array=1-N, or --shard I/N for the shares that are left."
        )
    return number + 1, count


def shard_of(things: Sequence[T], shard: tuple[int, int]) -> list[T]:
    """Every n-th thing: the shares have no thing in common, and together are all."""
    number, count = shard
    return list(things[number - 1 :: count])
