"""``--method ensemble``: the mean of what BM4D and the network that ships make of a scan."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meddenoise.filters import get_filter, register_filter
from meddenoise.filters.bm4d import around
from meddenoise.noise.correlation import Correlation
from meddenoise.noise.wavelet_mad import estimate_sigma

if TYPE_CHECKING:
    from meddenoise.inference.compute import Second
    from meddenoise.pretrained.ready import ReadyDenoiser
    from meddenoise.pretrained.thick import ThickSliced
    from meddenoise.training.refine import Others

__all__ = ["Both", "Effort", "ensemble"]

# The share of the time that the mean of both may take, alone and before a network learns.
_ALONE, _BEFORE = 0.8, 0.2

# Microseconds a voxel, on one core of 2023, that all that is made of a scan may take before it is
# recorrupted, and that are enough for finer blocks, too (learning from less of the scan for them at
# 40 was 0.02 dB better on one head and 0.06 dB worse on another); and their share of the time.
_OTHERS, _FINER, _BESIDE = 30.0, 60.0, 0.3

# Blocks in a group, where what BM4D makes of it stands beside what it makes with half as many.
_LARGER = 32


@dataclass(frozen=True)
class Effort:
    """What the mean of both takes its time for.

    On four heads with 10 % noise: 0.05 dB for twice BM4D's time by a search of 5, and beyond it
    0.02 dB for eight times the network's (in 2-D four).

    Attributes:
        search: BM4D's.
        flips: the network's; see :class:`meddenoise.pretrained.ready.ReadyDenoiser`.
    """

    search: int = 3
    flips: bool = False

    @classmethod
    def within(cls, shape: Sequence[int], seconds: float, *, learns: bool) -> Effort:
        """The most that the time is sure to allow.

        By the size alone, so that the same words give the same result on any machine.

        Args:
            shape: of the scan.
            seconds: for it.
            learns: a network learns from it afterwards.
        """
        most = (_BEFORE if learns else _ALONE) * seconds * 1e6
        for effort, cost in _COSTS[len(shape)]:
            if cost * math.prod(shape) <= most:
                return effort
        return cls()


# Microseconds a voxel, on one core of 2023.
_COSTS = {
    2: ((Effort(5, True), 30.0), (Effort(5), 22.0)),
    3: ((Effort(5, True), 30.0), (Effort(5), 15.0)),
}


@register_filter("ensemble", noise=True)
def ensemble(
    array: NDArray[np.floating],
    *,
    spacing: Sequence[float],
    sigma_noise: float | None = None,
    correlation: Correlation | None = None,
    device: str = "auto",
    floor: float | None = None,
    search: int = 3,
    flips: bool = False,
) -> NDArray[np.floating]:
    """The mean of BM4D and the network that ships; better than either.

    One compares blocks that are far apart, the other knows what shapes are like; where their errors
    differ, the mean's are smaller. Right for Gaussian noise, white or correlated up to 0.5 between
    neighbours.

    Weights by Stein's estimate of the error, with some of the residual and of the neighbours, were
    0.16 dB better in the mean over four heads with white noise, and 0.1 to 5.6 dB worse than the
    mean where 10 % or more of k-space are zeros: it takes noise that neighbours share for image.

    Args:
        array: ``(X, Y)`` or ``(X, Y, Z)``, finite.
        spacing: voxel size in mm per axis.
        sigma_noise: standard deviation of the noise in image units; estimated if None.
        correlation: of the noise between a voxel and its neighbours, for BM4D; white if None.
        device: for the network.
        floor: darker voxels are the network's own; around a Rician stabilisation those of an SNR
            below 2, whose noise is not Gaussian even then: BM4D takes it for signal.
        search: as ``bm4d`` has it; 5 is 0.05 dB better and takes it twice the time.
        flips: let the network see all mirror images: 0.02 dB better in eight times its time (2-D:
            four).

    Returns:
        An array of the same shape and dtype.

    Raises:
        ParameterError: an image too small to estimate its noise.
        ModelError: the weights that ship are missing or altered.
    """
    sigma = estimate_sigma(array, correlation=correlation) if sigma_noise is None else sigma_noise
    if sigma == 0:
        return array.copy()
    both = Both.loaded(
        array.shape,
        spacing=spacing,
        device=device,
        floor=floor,
        correlation=correlation,
        effort=Effort(search, flips),
    )
    return both.mean(array, sigma).astype(array.dtype)


@dataclass(frozen=True, eq=False)
class Both:
    """BM4D and the network that ships, for one scan.

    Attributes:
        network: for so many axes.
        spacing: voxel size in mm per axis.
        floor: see :func:`ensemble`; above it BM4D fades in over one sigma.
        second: as :class:`meddenoise.pretrained.ready.ReadyDenoiser` has it.
        correlation: of the noise between a voxel and its neighbours, for BM4D; white if None.
        effort: see there.
    """

    network: ReadyDenoiser | ThickSliced
    spacing: Sequence[float]
    floor: float | None
    second: Second
    correlation: Correlation | None
    effort: Effort

    @classmethod
    def loaded(
        cls,
        shape: Sequence[int],
        *,
        spacing: Sequence[float],
        device: str,
        floor: float | None,
        correlation: Correlation | None,
        effort: Effort,
    ) -> Both:
        """With the network for scans of that shape.

        Raises:
            ModelError: see :func:`ensemble`.
        """
        from meddenoise.pretrained.ready import ReadyDenoiser
        from meddenoise.pretrained.thick import ready_for

        needed = (2, 3) if len(shape) == 3 else (2,)
        ready = {dims: ReadyDenoiser.load(dims, device) for dims in needed}
        network = ready_for(ready, spacing, shape)
        assert network is not None
        second: Second = "negative" if floor is None else "shifted"
        return cls(network, spacing, floor, second, correlation, effort)

    def mean(self, noisy: NDArray[np.floating], sigma: float) -> NDArray[np.float32]:
        """What the method ``ensemble`` gives."""
        by_blocks = get_filter("bm4d")(
            noisy,
            spacing=self.spacing,
            sigma_noise=sigma,
            correlation=self.correlation,
            search=self.effort.search,
        )
        by_network = self._by_network(noisy, sigma, flips=self.effort.flips)
        share: float | NDArray[np.floating] = 0.5
        if self.floor is not None:
            share = np.clip((by_network - self.floor) / sigma, 0, 1) / 2
        return np.asarray(by_network + share * (by_blocks - by_network), dtype=np.float32)

    def others_within(self, shape: Sequence[int], seconds: float) -> Others | None:
        """What else there is time to make of a scan, for :func:`meddenoise.training.refine.refine`.

        By the size alone, as :meth:`Effort.within`.

        Args:
            shape: of the scan.
            seconds: for it, training included.
        """
        cost = _BESIDE * seconds * 1e6 / math.prod(shape)
        if cost < _OTHERS:
            return None
        return partial(self.others, finer=len(shape) == 3 and cost >= _FINER)

    def others(
        self,
        noisy: NDArray[np.floating],
        mean: NDArray[np.floating],
        sigma: float,
        *,
        finer: bool = False,
    ) -> tuple[NDArray[np.floating], ...]:
        """What else they make of a scan of which ``mean`` is the mean of both.

        The network's own result, its mean over half turns, and that of BM4D's last pass around the
        mean of both, in groups twice as large: together 0.06 dB in the mean of six cases of three
        heads, learned from their recorruptions.

        Args:
            noisy, mean, sigma: as :data:`meddenoise.training.refine.Others` has them.
            finer: that pass once more, with blocks of three voxels: 0.01 dB.
        """
        own = self._by_network(noisy, sigma)
        turned = [
            np.flip(self._by_network(np.ascontiguousarray(np.flip(noisy, axes)), sigma), axes)
            for axes in itertools.combinations(range(noisy.ndim), 2)
        ]
        by_blocks = [
            around(
                noisy,
                mean,
                spacing=self.spacing,
                sigma_noise=sigma,
                correlation=self.correlation,
                search=self.effort.search,
                group=_LARGER,
                block=block,
            )
            for block in ((None, 3) if finer else (None,))
        ]
        return own, np.mean([own, *turned], axis=0), *by_blocks

    def _by_network(
        self, noisy: NDArray[np.floating], sigma: float, flips: bool = False
    ) -> NDArray[np.floating]:
        found = self.network(noisy / np.float32(sigma), second=self.second, flips=flips)
        return found * np.float32(sigma)
