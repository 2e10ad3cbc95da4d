"""``--method ensemble``: the mean of what BM4D and the network that ships make of a scan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meddenoise.filters import get_filter, register_filter
from meddenoise.noise.correlation import Correlation
from meddenoise.noise.wavelet_mad import estimate_sigma

if TYPE_CHECKING:
    from meddenoise.inference.compute import Second
    from meddenoise.pretrained.ready import ReadyDenoiser
    from meddenoise.pretrained.thick import ThickSliced

__all__ = ["Effort", "ensemble", "mean_of_both"]

# The share of the time that the mean of both may take, alone and before a network learns.
_ALONE, _BEFORE = 0.8, 0.2


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
    from meddenoise.pretrained.ready import ReadyDenoiser
    from meddenoise.pretrained.thick import ready_for

    needed = (2, 3) if array.ndim == 3 else (2,)
    loaded = {dims: ReadyDenoiser.load(dims, device) for dims in needed}
    network = ready_for(loaded, spacing, array.shape)
    assert network is not None
    second: Second = "negative" if floor is None else "shifted"
    found = mean_of_both(
        array,
        network,
        spacing,
        sigma,
        floor,
        second=second,
        correlation=correlation,
        effort=Effort(search, flips),
    )
    return found.astype(array.dtype)


def mean_of_both(
    array: NDArray[np.floating],
    network: ReadyDenoiser | ThickSliced,
    spacing: Sequence[float],
    sigma: float,
    floor: float | None,
    *,
    second: Second,
    correlation: Correlation | None,
    effort: Effort,
) -> NDArray[np.float32]:
    """What the method ``ensemble`` gives.

    Args:
        array: as there.
        network: the one that ships, for so many axes.
        spacing: as there.
        sigma: the noise's standard deviation in image units.
        floor: as there; above it BM4D fades in over one sigma.
        second: as :class:`meddenoise.pretrained.ready.ReadyDenoiser` has it.
        correlation: as there.
        effort: as there ``search`` and ``flips``.
    """
    by_blocks = get_filter("bm4d")(
        array,
        spacing=spacing,
        sigma_noise=sigma,
        correlation=correlation,
        search=effort.search,
    )
    by_network = network(array / np.float32(sigma), second=second, flips=effort.flips)
    by_network = by_network * np.float32(sigma)
    share = 0.5 if floor is None else np.clip((by_network - floor) / sigma, 0, 1) / 2
    return np.asarray(by_network + share * (by_blocks - by_network), dtype=np.float32)
