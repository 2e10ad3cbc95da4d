"""The scans of a run, in memory or mapped from files where they would not fit."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from meddenoise.config import DataConfig
from meddenoise.data import Case
from meddenoise.data.voxel_cache import VoxelCache
from meddenoise.inference.memory import available_memory
from meddenoise.io.named import path_of
from meddenoise.training.prepare import Prepared
from meddenoise.volume import Volume

__all__ = ["load_scans"]

# Decoded scans are copied once, into the buffer that patches are taken from; they may take half
# of what is free when reading begins, all processes of this machine together.
_COPIES, _SHARE = 2, 0.5

_Prepare = Callable[[Case, "VoxelCache | None"], Prepared]


@contextmanager
def load_scans(
    cases: Iterable[Case], prepare: _Prepare, data: DataConfig, run: Path
) -> Iterator[tuple[dict[str, Prepared], VoxelCache | None]]:
    """The scans of a run; see :class:`~meddenoise.config.DataConfig` for ``data.cache``.

    A cache whose directory nobody named is removed in the end, except after an interruption, when
    ``--resume`` will want it.

    Args:
        cases: which.
        prepare: reads one, into a cache or into memory.
        data: the configuration's section.
        run: the run directory.

    Yields:
        The scans by name, and the cache that they are mapped from; ``None`` if they are in memory.
    """
    named = data.cache_directory
    place = run.with_name(f"{run.name}.voxels") if named is None else path_of(named)
    try:
        yield _loaded(list(dict.fromkeys(cases)), prepare, data, place)
    except BaseException:
        if named is None and not (run / "checkpoint").exists():
            _remove(place)
        raise
    if named is None:
        _remove(place)


def _remove(place: Path) -> None:
    if _first() and place.exists():
        VoxelCache(place).clear()


def _first() -> bool:
    """Of several processes."""
    return os.environ.get("RANK", "0") == "0"


def _loaded(
    cases: list[Case], prepare: _Prepare, data: DataConfig, directory: Path
) -> tuple[dict[str, Prepared], VoxelCache | None]:
    if data.cache != "disk":
        budget = _SHARE * available_memory() / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        held = _in_memory(cases, prepare, None if data.cache == "ram" else budget)
        if held is not None:
            return held, None
        if _first():
            warnings.warn(
                f"The scans take more than {budget / 2**30:.1f} GiB in memory, half of what is "
                f"free: they are mapped from {directory} instead.",
                stacklevel=4,
            )
    cache = VoxelCache(directory)
    return {case.name: prepare(case, cache) for case in cases}, cache


def _in_memory(
    cases: Iterable[Case], prepare: _Prepare, budget: float | None
) -> dict[str, Prepared] | None:
    """The scans; ``None`` as soon as they are seen to take more bytes than ``budget``."""
    held: dict[str, Prepared] = {}
    taken = 0
    for case in cases:
        scan = prepare(case, None)
        held[case.name] = scan
        taken += _COPIES * (_size(scan.volume) + _size(scan.truth))
        if budget is not None and taken > budget:
            return None
    return held


def _size(volume: Volume | None) -> int:
    return 0 if volume is None else int(volume.array.nbytes)
