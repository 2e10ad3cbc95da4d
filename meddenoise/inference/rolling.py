"""A Gaussian mean over a scan that comes plane by plane."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

__all__ = ["RollingMean"]

# Standard deviations that the filter reaches; as scipy.ndimage has it.
_REACH = 4.0

Plane = NDArray[np.float32]


class RollingMean:
    """Gaussian means of planes, each given once, in the memory of as many as the filter sees.

    The same as ``scipy.ndimage.gaussian_filter`` with ``mode="mirror"`` over the whole; where some
    voxels were not measured, over those that were.

    Args:
        width: standard deviation in voxels, along every axis.
        depth: how many planes there will be.
        pool: threads that filter planes.
    """

    def __init__(self, width: float, depth: int, pool: ThreadPoolExecutor) -> None:
        self._width, self._depth, self._pool = width, depth, pool
        self._reach = int(_REACH * width + 0.5) if depth > 1 else 0
        steps = np.arange(-self._reach, self._reach + 1)
        kernel = np.exp(-0.5 * (steps / width) ** 2)
        self._kernel = (kernel / kernel.sum()).astype(np.float32)
        self._planes: dict[int, Plane] = {}
        self._weights: dict[int, Plane] = {}
        self._come = self._gone = 0

    def feed(self, planes: Iterable[tuple[Plane, NDArray[np.bool_] | None]]) -> Iterator[Plane]:
        """Take further planes ``(Y, X)`` and their masks; the means that are known now.

        What was not measured must be 0, and the mask of a plane without such voxels ``None``.
        """
        for plane, weight in self._pool.map(self._across, planes):
            self._planes[self._come] = plane
            if weight is not None:
                self._weights[self._come] = weight
            self._come += 1
        while self._gone + self._reach < self._come:
            yield self._next()

    def end(self) -> Iterator[Plane]:
        """The means of the last planes."""
        while self._gone < self._come:
            yield self._next()

    def _across(self, given: tuple[Plane, NDArray[np.bool_] | None]) -> tuple[Plane, Plane | None]:
        from scipy.ndimage import gaussian_filter

        plane, mask = given
        if mask is None or mask.all():
            weight = None
        else:
            weight = gaussian_filter(mask.astype(np.float32), self._width, mode="mirror")
        return gaussian_filter(plane, self._width, mode="mirror"), weight

    def _next(self) -> Plane:
        seen = [self._mirrored(self._gone + k) for k in range(-self._reach, self._reach + 1)]
        mean = self._sum([self._planes[k] for k in seen])
        if any(k in self._weights for k in seen):
            one = np.ones_like(mean)
            weight = self._sum([self._weights.get(k, one) for k in seen])
            mean = np.divide(mean, weight, out=np.zeros_like(mean), where=weight > 1e-3)
        self._gone += 1
        for store in (self._planes, self._weights):
            store.pop(self._gone - self._reach - 1, None)
        return mean

    def _sum(self, planes: list[Plane]) -> Plane:
        total = planes[0] * self._kernel[0]
        part = np.empty_like(total)
        for plane, factor in zip(planes[1:], self._kernel[1:], strict=True):
            np.multiply(plane, factor, out=part)
            total += part
        return total

    def _mirrored(self, k: int) -> int:
        """A plane's number, mirrored at the first and the last one."""
        if self._depth == 1:
            return 0
        period = 2 * (self._depth - 1)
        k %= period
        return min(k, period - k)
