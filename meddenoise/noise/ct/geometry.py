"""How an axial CT slice is scanned: the rays of a parallel or a fan beam."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meddenoise.errors import ParameterError
from meddenoise.noise.draws import check_number

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Beam", "Geometry", "geometry_for"]

Beam = Literal["parallel", "fan"]

SOURCE_MM = 595.0
"""From the focal spot to the axis of rotation; 541 to 610 mm in clinical scanners."""

# Scanners have some thousands.
_MOST_VIEWS = 100_000

# Detector channels per pixel: a pixel grid carries frequencies up to sqrt(2) times its own
# Nyquist frequency, along its diagonal.
_OVERSAMPLING = math.sqrt(2)


@dataclass(frozen=True)
class Geometry:
    """The rays through one slice. The centre of the slice is the axis of rotation.

    View k looks along ``t = (-sin b, cos b)`` with ``b = span (k + 1/2) / views``; the channels lie
    along ``s = (cos b, sin b)``. A parallel beam turns by 180 degrees. A fan beam has its source
    at ``-source_mm t``, a detector of equal angles around the source, and turns by 360 degrees.

    Attributes:
        beam: ``"parallel"`` or ``"fan"``.
        views: projections, a multiple of 4 (the views a quarter turn apart share their indices).
        channels: detector elements.
        pitch_mm: distance between neighbouring rays at the axis of rotation, in mm.
        source_mm: source to axis, in mm; of no meaning for a parallel beam.
    """

    beam: Beam
    views: int
    channels: int
    pitch_mm: float
    source_mm: float = SOURCE_MM

    def __post_init__(self) -> None:
        if self.beam not in ("parallel", "fan"):
            raise ParameterError(f"beam is {self.beam!r}: it must be 'parallel' or 'fan'.")
        if isinstance(self.views, bool) or not isinstance(self.views, int):
            raise ParameterError(f"views is {self.views!r}: it must be a whole number.")
        if not 4 <= self.views <= _MOST_VIEWS or self.views % 4:
            raise ParameterError(
                f"views is {self.views}: it must be a multiple of 4 of at least 4 and at most "
                f"{_MOST_VIEWS} (projections)."
            )
        check_number("pitch_mm", self.pitch_mm, unit="mm", open_below=True)
        check_number("source_mm", self.source_mm, unit="mm", open_below=True)
        if self.beam == "fan" and self.half_width_mm >= 0.9 * self.source_mm:
            raise ParameterError(
                f"source_mm is {self.source_mm:g}: the slice reaches {self.half_width_mm:.0f} mm "
                "from its centre, too near to the source; give a larger distance (mm), or "
                "beam 'parallel'."
            )

    @property
    def span(self) -> float:
        """The angle that is turned through, in radians."""
        return math.pi if self.beam == "parallel" else 2 * math.pi

    @property
    def quarter_turns(self) -> int:
        """How many groups of views differ by turns of 90 degrees only."""
        return 2 if self.beam == "parallel" else 4

    @property
    def half_width_mm(self) -> float:
        """Distance of the outermost ray from the axis (along the arc for a fan), in mm."""
        return (self.channels - 1) / 2 * self.pitch_mm

    def angle(self, view: int) -> float:
        """Of a view, in radians."""
        return self.span * (view + 0.5) / self.views

    def offsets(self, device: torch.device | None = None) -> Tensor:
        """``(channels,)`` float32: place of each channel on the detector scaled to the axis, mm."""
        import torch

        places = torch.arange(self.channels, dtype=torch.float32, device=device)
        return (places - (self.channels - 1) / 2) * self.pitch_mm

    def distances(self, device: torch.device | None = None) -> Tensor:
        """``(channels,)`` float32: signed distance of each ray from the axis, in mm."""
        offsets = self.offsets(device)
        if self.beam == "parallel":
            return offsets
        return self.source_mm * (offsets / self.source_mm).sin()

    def coarser(self, factor: int) -> Geometry:
        """The same scan with fewer views and wider channels."""
        views = max(4, round(self.views / factor / 4) * 4)
        channels = math.ceil(self.channels / factor)
        # The outer edges of the detector stay where they are.
        pitch = self.pitch_mm * self.channels / channels
        return Geometry(self.beam, views, channels, pitch, self.source_mm)


def geometry_for(
    size: int,
    pixel_mm: float,
    *,
    beam: Beam = "parallel",
    views: int = 720,
    source_mm: float = SOURCE_MM,
) -> Geometry:
    """A scan that sees the whole of a square slice, corners too.

    Args:
        size: pixels along a side.
        pixel_mm: size of a pixel in mm.
        beam: ``"parallel"`` or ``"fan"``.
        views: projections, a multiple of 4.
        source_mm: source to axis of rotation, in mm (fan).

    Raises:
        ParameterError: an impossible parameter, or a source inside the slice.
    """
    pitch = pixel_mm / _OVERSAMPLING
    radius = size * pixel_mm / math.sqrt(2)
    if beam == "fan":
        check_number("source_mm", source_mm, unit="mm", open_below=True)
        # On the arc the outermost ray is a little further out.
        radius = source_mm * math.asin(min(1.0, radius / source_mm))
    channels = 2 * math.ceil(radius / pitch) + 2
    return Geometry(beam, views, channels, pitch, source_mm)
