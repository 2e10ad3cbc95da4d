"""What the noise of a scan is, as filters are told of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meddenoise.errors import ParameterError
from meddenoise.filters.registry import asks_correlation, asks_noise, is_joint
from meddenoise.noise.correlation import Correlation
from meddenoise.noise.estimation import NoiseEstimate, estimate
from meddenoise.noise.mppca import FEWEST_VOLUMES
from meddenoise.noise.scan_level import one_channel
from meddenoise.noise.stabilise import Stabilisation
from meddenoise.volume import Volume

__all__ = ["Told", "told_noise"]


@dataclass(frozen=True)
class Told:
    """What a filter is told of the noise.

    Attributes:
        sigmas: per channel; None where nobody knows, or the filter does not ask.
        correlations: per channel, the same.
        noted: for the history of the result.
    """

    sigmas: Sequence[float | None]
    correlations: Sequence[Correlation | None]
    noted: Mapping[str, str]


def told_noise(
    volume: Volume,
    name: str,
    options: dict[str, Any],
    *,
    sigma: float | None,
    correlation: Correlation | None,
    around: Stabilisation,
) -> Told:
    """What a filter is to be told, of what is known and what the scan tells.

    The scan is asked by :func:`meddenoise.noise.estimate`, which sees correlated noise, as CT has
    it, in full; the finest band alone, which filters look at when nobody tells them, sees a third
    of it. A series of 6 volumes and more has the same noise in all.

    Args:
        volume: the scan.
        name: the filter's.
        options: the filter's, checked.
        sigma: what is said of it, in image units.
        correlation: what is known of it.
        around: whatever stabilises the noise, to a sigma of 1.
    """
    count, stabilised = volume.channels, around.method != "none"
    asks_level = not stabilised and sigma is None and asks_noise(name, options)
    asks_along = asks_correlation(name)
    found: list[NoiseEstimate | None] = [None] * count
    if asks_level or (asks_along and correlation is None):
        found = _channels(volume)
    correlations = [
        correlation or (None if one is None else one.correlation) if asks_along else None
        for one in found
    ]
    if is_joint(name):
        # All channels are told as one: of the first that knows.
        correlations = [next((one for one in correlations if one is not None), None)] * count
    sigmas: list[float | None] = [1.0 if stabilised else sigma] * count
    if asks_level:
        sigmas = [None if one is None else one.sigma for one in found]
        if is_joint(name):
            sigmas = [next((level for level in sigmas if level is not None), None)] * count
    noted: dict[str, str] = {}
    if stabilised:
        noted["stabilised as"] = around.noise
    elif sigma is not None:
        noted["noise sigma"] = f"{sigma:g}"
    elif asks_level:
        noted |= _estimated(sigmas)
    along = sorted({axis for each in correlations if each is not None for axis in each.axes})
    if along:
        noted["noise correlated along"] = " and ".join("xyz"[axis] for axis in along)
    return Told(sigmas, correlations, noted)


def _channels(volume: Volume) -> list[NoiseEstimate | None]:
    """The noise of each; None where it cannot be told (a channel constant, or too small)."""
    if volume.channels >= FEWEST_VOLUMES:
        return [_or_none(volume)] * volume.channels
    return [_or_none(one_channel(volume, channel)) for channel in range(volume.channels)]


def _or_none(volume: Volume) -> NoiseEstimate | None:
    try:
        found = estimate(volume)
    except ParameterError:
        return None
    return found if math.isfinite(found.sigma) else None


def _estimated(levels: Sequence[float | None]) -> dict[str, str]:
    """What the history tells of estimated noise."""
    known = sorted(level for level in levels if level is not None)
    if not known:
        return {}
    told = dict.fromkeys(f"{level:.4g}" for level in (known[0], known[-1]))
    return {"noise sigma estimated as": " to ".join(told)}
