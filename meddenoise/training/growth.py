"""Patches that grow in the course of a run: many small ones first, whole context at the end."""

from __future__ import annotations

import math
from collections.abc import Sequence

from meddenoise.data.patches import Sampler

__all__ = ["Growth"]

# The patch grows over that share of the run, in so many steps, to multiples of so many voxels.
_UNTIL, _STAGES, _MULTIPLE = 0.5, 4, 8


class Growth:
    """Progressive learning (Zamir et al., "Restormer", CVPR 2022, section 3.3).

    Small patches come from more places of the scan, large ones show the network what it will see
    when it denoises. A batch has so many more of the small ones that a step costs the same.

    Args:
        sampler: of the full patch.
        first: voxels per axis at the start; ``None`` for no growth.
        batch: full patches a step, on this process.
    """

    def __init__(self, sampler: Sampler, first: Sequence[int] | None, batch: int) -> None:
        full = sampler.patch
        start = full if first is None else tuple(map(min, first, full))
        self._stages = [(sampler, batch)]
        for stage in reversed(range(_STAGES)):
            share = stage / _STAGES
            size = tuple(_between(a, b, share) for a, b in zip(start, full, strict=True))
            if size != self._stages[0][0].patch:
                more = batch * math.prod(full) // math.prod(size)
                self._stages.insert(0, (sampler.cut_to(size), more))

    def at(self, progress: float) -> tuple[Sampler, int]:
        """The patches of a step, and how many, when that share of the run is done."""
        last = len(self._stages) - 1
        return self._stages[min(int(progress / _UNTIL * last), last)]


def _between(first: int, last: int, share: float) -> int:
    """A size on the way from one to the other."""
    size = first + share * (last - first)
    return min(last, max(first, int(size) // _MULTIPLE * _MULTIPLE))
