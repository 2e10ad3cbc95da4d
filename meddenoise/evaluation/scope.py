"""What numbers were taken over: range, window, mask and dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Scope"]


@dataclass(frozen=True)
class Scope:
    """What has to be known to believe a number, or to repeat it.

    Attributes:
        data_range: the scale of intensities, in ``units``.
        data_range_source: where it came from, in words.
        window: (centre, width) that all images were clipped to, if any.
        mask: what counts, in words.
        voxels: how many that are; of several volumes in all.
        mask_fraction: the same as a fraction of the image.
        dimensions: 2 or 3.
        units: of the voxels, ``""`` if unknown.
        volume: which one of a scan of several, from 1, if one was chosen.
    """

    data_range: float
    data_range_source: str
    window: tuple[float, float] | None
    mask: str
    voxels: int
    mask_fraction: float
    dimensions: int
    units: str
    volume: int | None = None

    def sentences(self) -> tuple[str, ...]:
        """The same for people."""
        unit = f" {self.units}" if self.units else ""
        said = [f"Data range {self.data_range:.6g}{unit}: {self.data_range_source}."]
        if self.window is not None:
            centre, width = self.window
            said.append(f"All images were clipped to centre {centre:g}, width {width:g}{unit}.")
        share = f"{100 * self.mask_fraction:.3g} %"
        said.append(f"{self.voxels:,} voxels ({share}), in {self.dimensions}-D: {self.mask}.")
        if self.volume is not None:
            said.append(f"Volume {self.volume} of several.")
        return tuple(said)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON."""
        return {
            "data_range": self.data_range,
            "data_range_source": self.data_range_source,
            "window": None if self.window is None else list(self.window),
            "mask": self.mask,
            "voxels": self.voxels,
            "mask_fraction": self.mask_fraction,
            "dimensions": self.dimensions,
            "units": self.units,
            "volume": self.volume,
        }
