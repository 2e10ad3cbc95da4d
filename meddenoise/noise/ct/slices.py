"""Axial slices of an image of any shape, one below the other, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meddenoise.errors import ParameterError
from meddenoise.noise.draws import working

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AIR_HU", "Slices", "check_whole"]

AIR_HU = -1000.0
"""What stands where a scan measured nothing: no attenuation, so no ray is weakened there."""

# A head is 150 mm across. What is smaller is a patch: much of what its rays went through is
# missing.
_LEAST_MM = 100.0
_LEAST_PIXELS = 32


@dataclass(frozen=True)
class Slices:
    """An image as a stack of axial slices.

    Attributes:
        hu: ``(S, X, Y)`` float32, in HU, finite.
        image: the image they are of.
        pixel_mm: size of a (square) pixel in mm.
        step_mm: from one slice to the next, in mm; 1 for a single one.
        volume: slices run along the image's last axis; else the last two axes are one slice.
    """

    hu: Tensor
    image: Tensor
    pixel_mm: float
    step_mm: float
    volume: bool

    @classmethod
    def of(cls, image: Tensor, spacing: Sequence[float]) -> Slices:
        """The slices of ``(..., X, Y)`` or ``(..., X, Y, Z)``, as ``spacing`` has 2 or 3 numbers.

        Voxels that are not finite become air.

        Raises:
            ParameterError: no floating-point image, a number of axes other than ``spacing``
                says, or pixels that are not square.
        """
        import torch

        clean = working(image)
        if len(spacing) not in (2, 3) or image.ndim < len(spacing):
            raise ParameterError(
                f"spacing has {len(spacing)} numbers and the image {image.ndim} axes: give mm per "
                "voxel along X and Y, and Z for a volume."
            )
        dx, dy = float(spacing[0]), float(spacing[1])
        if not (dx > 0 and dy > 0 and abs(dx - dy) <= 0.01 * max(dx, dy)):
            raise ParameterError(
                f"A CT slice has square pixels, and these are {dx:g} x {dy:g} mm: slices must run "
                "along the last axis, and an image resampled otherwise cannot be used."
            )
        volume = len(spacing) == 3
        stack = clean.movedim(-1, -3) if volume else clean
        hu = stack.detach().reshape(-1, *stack.shape[-2:]).to(torch.float32)
        finite = torch.where(hu.isfinite(), hu, AIR_HU)
        return cls(finite, image, (dx + dy) / 2, float(spacing[2]) if volume else 1.0, volume)

    def each(self, name: str, value: float | Tensor) -> Tensor:
        """``(S,)`` float32: a parameter's value for each slice.

        Args:
            name: of the parameter, for the message.
            value: one number, or a tensor that broadcasts to the image and is the same all
                over a slice, as ``(B, 1, ...)`` is.

        Raises:
            ParameterError: it differs within a slice.
        """
        import torch

        if not isinstance(value, torch.Tensor):
            return self.hu.new_full((len(self.hu),), value)
        plane = (-3, -2) if self.volume else (-2, -1)
        lacking = self.image.ndim - value.ndim
        whole = value.reshape((1,) * lacking + value.shape)
        if any(whole.shape[axis] != 1 for axis in plane):
            raise ParameterError(f"{name} must be the same all over a slice: give (B, 1, ...).")
        shape = list(self.image.shape)
        shape[plane[0]] = shape[plane[1]] = 1
        values = whole.to(self.hu).expand(shape)
        return values.reshape(-1).clone()

    def plus(self, noise: Tensor) -> Tensor:
        """The image with ``(S, X, Y)`` noise in HU added, in its own shape and dtype.

        Voxels that are not finite stay as they are.
        """
        shape = self.image.shape
        if self.volume:
            parted = noise.reshape(*shape[:-3], shape[-1], *shape[-3:-1]).movedim(-3, -1)
        else:
            parted = noise.reshape(shape)
        return (working(self.image) + parted.to(working(self.image).dtype)).to(self.image.dtype)


def check_whole(slices: Slices, name: str) -> None:
    """Raise for a patch: rays need the whole slice they went through.

    Raises:
        ParameterError: a side below 100 mm or 32 pixels.
    """
    sides = slices.hu.shape[-2:]
    if min(sides) * slices.pixel_mm < _LEAST_MM or min(sides) < _LEAST_PIXELS:
        across = " x ".join(f"{n * slices.pixel_mm:.0f}" for n in sides)
        raise ParameterError(
            f"The noise model '{name}' needs whole axial slices (at least {_LEAST_MM:.0f} mm and "
            f"{_LEAST_PIXELS} pixels a side), and this is {across} mm: its rays would miss the "
            "rest of the patient. For patches take 'ct_nps'."
        )
