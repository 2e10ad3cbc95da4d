"""How strong the noise of a scan is, as filters are told of it."""

from __future__ import annotations

import math

from meddenoise.errors import ParameterError
from meddenoise.noise.estimation import estimate
from meddenoise.noise.mppca import FEWEST_VOLUMES
from meddenoise.noise.scan_level import scan_sigma
from meddenoise.volume import Volume

__all__ = ["channel_sigmas"]


def channel_sigmas(volume: Volume) -> list[float | None]:
    """Sigma of the noise in each channel by :func:`meddenoise.noise.estimate`, in image units.

    That sees correlated noise, as CT has it, in full; the finest band alone, which filters look at
    when nobody tells them, sees a third of it. Where it cannot tell (an image that is constant or
    too small) there is None. A series of 6 volumes and more has the same noise in all.
    """
    if volume.dims == 3 and volume.channels >= FEWEST_VOLUMES:
        return [_or_none(volume, None)] * volume.channels
    return [_or_none(volume, channel) for channel in range(volume.channels)]


def _or_none(volume: Volume, channel: int | None) -> float | None:
    try:
        sigma = estimate(volume).sigma if channel is None else scan_sigma(volume, channel)
    except ParameterError:
        return None
    return sigma if math.isfinite(sigma) else None
