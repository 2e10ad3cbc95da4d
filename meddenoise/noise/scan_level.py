"""The noise level of a scan, as a network with a noise map is told of it."""

from __future__ import annotations

from dataclasses import replace

from meddenoise.noise.estimation import estimate
from meddenoise.volume import Volume

__all__ = ["one_channel", "scan_sigma"]


def one_channel(volume: Volume, channel: int) -> Volume:
    """A volume of that channel alone."""
    part = slice(channel, channel + 1)
    padding = None if volume.padding is None else volume.padding[part]
    return replace(volume, array=volume.array[part], padding=padding)


def scan_sigma(volume: Volume, channel: int = 0) -> float:
    """Sigma of one channel by :func:`meddenoise.noise.estimate`, in the scan's units.

    The same in training and afterwards: a network is to be told of a level in one way.

    Raises:
        ParameterError: the channel is constant, has no finite voxel, or is too small.
    """
    return estimate(one_channel(volume, channel)).sigma
