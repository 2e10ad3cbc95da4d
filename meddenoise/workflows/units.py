"""What voxels are in where a format has no place for it: as the user says, and a hint if not."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from meddenoise.errors import ParameterError
from meddenoise.volume import Volume
from meddenoise.workflows.way import Progress, Way

if TYPE_CHECKING:
    from meddenoise.io.plane_scan import PlaneScan
    from meddenoise.workflows.streamed import Streamed

__all__ = ["HU", "checked_units", "hint_of_units", "hinting", "in_units", "looks_like_hu"]

HU = "HU"

# Air and water with their noise, and the shares that they have: of 9 CT of head, abdomen and pelvis
# 0.33 to 0.87, 0.04 to 0.60, and together at least 0.81; of 13 MR scans, a PET and a
# phantom without air not one voxel in a thousand is in the range of air.
_AIR, _WATER = (-1150, -850), (-200, 200)
_LEAST_AIR, _LEAST_WATER, _LEAST_BOTH = 0.05, 0.03, 0.5
_ENOUGH = 1_000_000


def checked_units(said: str | None) -> str:
    """The units as the user says them; ``""`` if nothing is said.

    Raises:
        ParameterError: anything but HU, which would change nothing and be taken for a help.
    """
    if said in (None, "", HU):
        return said or ""
    raise ParameterError(f"--units is {said}: HU is what can be said of a scan; or leave it out.")


def looks_like_hu(volume: Volume) -> bool:
    """Whether a scan of unknown units has the two peaks of CT in HU: air, and water with tissue.

    A crop within the body has no air and is not known.
    """
    if volume.units or volume.modality not in ("", "CT"):
        return False
    step = max(1, volume.array.size // _ENOUGH)
    values = volume.array.reshape(-1)[::step]
    values = values[volume.valid.reshape(-1)[::step]]
    if values.size == 0:
        return False
    air, water = (
        float(np.mean((values >= low) & (values <= high))) for low, high in (_AIR, _WATER)
    )
    return air >= _LEAST_AIR and water >= _LEAST_WATER and air + water >= _LEAST_BOTH


def hint_of_units(volume: Volume) -> str:
    """A sentence for whoever has not said that a scan is CT in HU, else ``""``."""
    if not looks_like_hu(volume):
        return ""
    return (
        "The values look like HU of a CT, and the file does not say so: --units HU does, and soft "
        "tissue is then looked at instead of the whole scan."
    )


def in_units(way: Way, units: str) -> Way:
    """The way, with scans said to be in these units."""

    def run(volume: Volume, progress: Progress | None) -> Volume:
        return way.run(volume.in_units(units), progress)

    if way.stream is None:
        return replace(way, run=run)
    stream = way.stream

    def streamed(scan: PlaneScan) -> Streamed:
        known: Any = scan  # every kind of it is a dataclass
        return stream(replace(known, head=scan.head.in_units(units)))

    return replace(way, run=run, stream=streamed)


def hinting(way: Way) -> Way:
    """The way, with a word on scans that seem to be in HU, which nobody says."""

    def run(volume: Volume, progress: Progress | None) -> Volume:
        hint = hint_of_units(volume)
        if hint:
            warnings.warn(hint, stacklevel=2)
        return way.run(volume, progress)

    if way.stream is None:
        return replace(way, run=run)
    stream = way.stream

    def streamed(scan: PlaneScan) -> Streamed:
        hint = hint_of_units(scan.middle(1, 0))
        if hint:
            warnings.warn(hint, stacklevel=2)
        return stream(scan)

    return replace(way, run=run, stream=streamed)
