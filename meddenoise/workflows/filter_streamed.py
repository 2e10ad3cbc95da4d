"""A filter that sees a few voxels far, over a scan that does not fit into the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.filters import filter_options, get_filter
from meddenoise.filters.apply import fill_invalid
from meddenoise.inference.sums import Summed, Sums
from meddenoise.io.ahead import ahead
from meddenoise.io.parts import Originals
from meddenoise.io.plane_scan import PlaneScan, planes_a_part
from meddenoise.volume import Volume

__all__ = ["FilterStreaming", "reach_of"]

# How far holes are filled from what is near. A filter that sees no farther never sees the rest,
# which is filled with the mean of the whole scan.
_FILLED = 4
_BOXES = ("median", "mean")


def reach_of(name: str, options: Mapping[str, Any]) -> int | None:
    """Planes on each side that a filter with these options sees.

    ``None`` of one that looks at the whole scan, or farther than holes are filled from nearby.
    """
    if name == "identity":
        return 0
    size = options.get("size", filter_options(name)["size"]) if name in _BOXES else None
    return None if size is None or size // 2 > _FILLED else int(size) // 2


class FilterStreaming(Summed):
    """One scan that is filtered plane by plane; as :func:`meddenoise.filters.apply_filter`.

    Args:
        scan: on disk.
        name: the filter's.
        options: its options, checked.
        reach: from :func:`reach_of`.
    """

    def __init__(self, scan: PlaneScan, name: str, options: Mapping[str, Any], reach: int) -> None:
        self._scan, self._name, self._options, self._reach = scan, name, dict(options), reach
        self.sums = [Sums.of(ahead(scan.planes(c))) for c in range(scan.head.channels)]

    @property
    def head(self) -> Volume:
        """The result without its voxels, as the scan's head."""
        settings = "".join(f", {key} {value}" for key, value in self._options.items())
        head = self._scan.head
        return head.with_array(head.array, note=f"filtered by {self._name}{settings}")

    def planes(
        self, beside: Path, progress: Callable[[float], None] | None = None
    ) -> Iterator[NDArray[np.floating]]:
        """The result, parts ``(X, Y, n)`` from first to last, one channel after the other."""
        depth, count = self._scan.shape[2], len(self.sums)
        for channel in range(count):
            done = 0
            for part in self._channel(channel):
                done += part.shape[2]
                yield part
                if progress:
                    progress((channel + done / depth) / count)

    def _channel(self, channel: int) -> Iterator[NDArray[np.floating]]:
        depth = self._scan.shape[2]
        margin = self._reach + _FILLED
        step = max(4 * planes_a_part(self._scan.shape), margin)
        given = Originals(ahead(self._scan.originals(channel)))
        values, measured = given.next(min(step + margin, depth))
        begins = 0  # the first plane that is held
        for first in range(0, depth, step):
            last = min(first + step, depth)
            until = min(last + margin, depth)
            more = until - begins - values.shape[2]
            if more > 0:
                further, known = given.next(more)
                values = np.concatenate([values, further], axis=2)
                measured = np.concatenate([measured, known], axis=2)
            here = slice(first - begins, last - begins)
            yield self._filtered(values, measured)[..., here]
            kept = max(last - margin, 0)
            values, measured = values[..., kept - begins :], measured[..., kept - begins :]
            begins = kept

    def _filtered(
        self, values: NDArray[np.floating], measured: NDArray[np.bool_]
    ) -> NDArray[np.floating]:
        if not measured.any():
            return values
        spacing = self._scan.head.spacing
        filled = fill_invalid(values, measured)
        found = get_filter(self._name)(filled, spacing=spacing, sigma_noise=None, **self._options)
        return np.where(measured, found, values)
