"""The noise's level as the user says it, in a scan's own units."""

from __future__ import annotations

from collections.abc import Callable

from meddenoise.errors import ParameterError
from meddenoise.io.plane_scan import PlaneScan
from meddenoise.volume import Volume

__all__ = ["known_level", "level_on_disk"]


def known_level(sigma: str | float | None) -> Callable[[Volume], float | None]:
    """What a level is in a scan's units; an impossible one is said before anything is read.

    Args:
        sigma: a number in those units, ``"10%"`` or ``"SNR 20"``; ``None``: nobody knows.

    Raises:
        ParameterError: no level, or a range.
    """
    from meddenoise.noise.level import parse_level, reference_intensity

    level = None if sigma is None else parse_level(sigma)
    if level is not None and level.is_range:
        raise ParameterError(f"--sigma {level} is a range: a scan has one noise level.")

    def of(volume: Volume) -> float | None:
        if level is None:
            return None
        if not level.unit:
            return level.low
        return level.draw(0.0, reference_intensity(volume.array[volume.valid]))

    return of


def level_on_disk(sigma: str | float | None, scan: PlaneScan) -> float | None:
    """The same of a scan that is not in memory: what tells of its range is read, if it counts."""
    from meddenoise.noise.level import parse_level
    from meddenoise.workflows.looked_at import voxels_looked_at

    if sigma is None or not parse_level(sigma).unit:
        return known_level(sigma)(scan.head)
    return known_level(sigma)(scan.middle(voxels_looked_at(scan.head.channels)))
