"""Thick or few slices: the network for volumes and the one for images, slice by slice, together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from meddenoise._version import __version__
from meddenoise.inference import Denoiser
from meddenoise.inference.compute import Second
from meddenoise.inference.sums import Sums
from meddenoise.pretrained.assumed import thick_axis
from meddenoise.pretrained.ready import ReadyDenoiser

__all__ = ["ThickSliced", "ready_for"]

# So many slices say as little of each other as thick ones do.
_FEW = 2


def ready_for(
    networks: Mapping[int, ReadyDenoiser], spacing: Sequence[float], shape: Sequence[int]
) -> ReadyDenoiser | ThickSliced | None:
    """What of the networks that ship is for a scan.

    Args:
        networks: by the number of axes that they are for.
        spacing: voxel size in mm, per axis of the scan.
        shape: its voxels per axis.

    Returns:
        One of them, or of thick slices, or of two, both together; ``None`` if there is none.
    """
    axis = thick_axis(spacing)
    if len(shape) == 3 and min(shape) <= _FEW:
        axis = int(np.argmin(shape))
    if axis is not None and 2 in networks and 3 in networks:
        return ThickSliced(networks[3], networks[2], axis)
    return networks.get(len(spacing))


class ThickSliced:
    """The mean of a pass of either network.

    What is alike across slices that are three times as thick as pixels are wide tells little, and
    the network for images has seen more of what is in one. On two heads, slices 3, 4 and 6 times as
    thick: 0.3, 0.45 and 0.65 dB above two passes of the network for volumes. At 6 the network for
    images alone is as good; on real quarter-dose CT with slices far apart it is 0.2 to 0.3 dB
    below the mean.

    Args:
        whole: the network for volumes.
        flat: the network for images.
        axis: across the slices.
    """

    def __init__(self, whole: ReadyDenoiser, flat: ReadyDenoiser, axis: int) -> None:
        self.whole, self.flat, self.axis = whole, flat, axis

    @property
    def denoiser(self) -> Denoiser:
        """That of the network for volumes, which says where both run."""
        return self.whole.denoiser

    @property
    def note(self) -> str:
        """A line of history for a result."""
        both = f"{self.whole.name} and, slice by slice, {self.flat.name}"
        return f"meddenoise {__version__} denoised with {both}"

    def __call__(
        self,
        array: NDArray[np.floating],
        valid: NDArray[np.bool_] | None = None,
        *,
        exact: bool = False,
        second: Second | None = "negative",
        flips: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> NDArray[np.float32]:
        """As :class:`ReadyDenoiser`; the slices are what is otherwise the second pass."""
        sign = -1 if second == "negative" else 1

        def told(begun: float) -> Callable[[float], None] | None:
            return None if progress is None else lambda done: progress((begun + done) / 2)

        by_volume = self.whole(
            array, valid, exact=exact, second=None, flips=flips, progress=told(0)
        )
        turned = np.moveaxis(array, self.axis, -1) * np.float32(sign)
        inside = None if valid is None else np.moveaxis(valid, self.axis, -1)
        by_slice = self.flat(
            turned, inside, exact=exact, second=None, flips=flips, progress=told(1)
        )
        by_volume += np.moveaxis(by_slice, -1, self.axis) * np.float32(sign)
        by_volume *= np.float32(0.5)
        return by_volume

    def planes(
        self,
        shape: Sequence[int],
        parts: Callable[[], Iterator[NDArray[np.floating]]],
        sums: Sums,
        *,
        second: Second | None = "negative",
        progress: Callable[[float], None] | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """As :meth:`ReadyDenoiser.planes`, where the slices are the planes; parts come twice."""
        sign = -1 if second == "negative" else 1
        if sign < 0:
            turned = replace(sums, mean=-sums.mean, low=-sums.high, high=-sums.low)
        else:
            turned = sums
        by_volume = self.whole.planes(shape, parts, sums, second=None, progress=progress)
        by_slice = self.flat.planes(
            shape, lambda: (part * np.float32(sign) for part in parts()), turned, second=None
        )
        singly = chain.from_iterable(np.moveaxis(part, -1, 0) for part in by_slice)
        for part in by_volume:
            for plane in range(part.shape[-1]):
                part[..., plane] += next(singly) * np.float32(sign)
            part *= np.float32(0.5)
            yield part
