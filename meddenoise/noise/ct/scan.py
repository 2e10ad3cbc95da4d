"""A CT scan of given slices: line integrals, photons that reach the detector, noise in HU."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meddenoise.errors import ParameterError
from meddenoise.noise.ct.geometry import Beam, Geometry, geometry_for
from meddenoise.noise.ct.kernels import Kernel, ramp_power
from meddenoise.noise.ct.projector import back_project, project, reconstruct
from meddenoise.noise.draws import check_number

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["COARSE", "Scanner", "scanner_for"]

COARSE = 2
"""Line integrals are taken at half the resolution: beside noise they are smooth."""

# Of a bowtie filter: exp(-50) of the photons are none.
_OPAQUE = 50.0

# Slices that are projected at a time; what is drawn does not depend on it.
_TOGETHER = 16


@dataclass(frozen=True)
class Scanner:
    """What the projection models share.

    Attributes:
        geometry: the rays.
        kernel: the window on the ramp.
        shape: X and Y of a slice, in pixels; it lies in the middle of the square that is scanned.
        pixel_mm: size of a pixel, in mm.
        mu_water: attenuation of water, in 1/mm.
        bowtie_mm: diameter in mm of the water cylinder that the bowtie filter makes up for; 0
            for none.
    """

    geometry: Geometry
    kernel: Kernel
    shape: tuple[int, int]
    pixel_mm: float
    mu_water: float
    bowtie_mm: float = 0.0

    def __post_init__(self) -> None:
        check_number("mu_water", self.mu_water, unit="1/mm", open_below=True)
        check_number("bowtie_mm", self.bowtie_mm, unit="mm")
        if self.mu_water * self.bowtie_mm > _OPAQUE:
            raise ParameterError(
                f"bowtie_mm is {self.bowtie_mm:g}: with mu_water {self.mu_water:g} per mm such a "
                "filter lets no photon through; give the diameter of a body in mm, such as 300."
            )

    @property
    def coarse(self) -> Geometry:
        """The rays of :meth:`lines`: half as many views and channels."""
        return self.geometry.coarser(COARSE)

    def transmission(self, geometry: Geometry, like: Tensor) -> Tensor:
        """``(C,)``: the share of photons that the bowtie filter lets through at each channel.

        It makes up for a cylinder of water of radius R around the axis: with a ray's distance s
        from the axis, ``exp(-2 mu_w (R - sqrt(R^2 - s^2)))``, and ``exp(-2 mu_w R)`` beyond R.
        """
        distance = geometry.distances(like.device)
        radius = self.bowtie_mm / 2
        chord = (radius**2 - distance**2).clamp(min=0).sqrt()
        return (-2 * self.mu_water * (radius - chord)).exp()

    def lines(self, hu: Tensor) -> Tensor:
        """``integral of mu_w max(0, 1 + HU/1000) dl`` along each coarse ray.

        Args:
            hu: ``(S, X, Y)`` float32.

        Returns:
            ``(S, V', C')`` float32, without a unit; V' and C' of :attr:`coarse`.
        """
        import torch
        from torch.nn import functional as F

        x, y = self._corner
        size, pixel = _square(self.shape), self.pixel_mm * COARSE
        made = []
        for part in hu.split(_TOGETHER):
            mu = (self.mu_water * (1 + part / 1000.0)).clamp(min=0.0)
            far_x, far_y = size - self.shape[0] - x, size - self.shape[1] - y
            square = F.pad(mu, (y, far_y, x, far_x))
            made.append(project(F.avg_pool2d(square[:, None], COARSE)[:, 0], self.coarse, pixel))
        return torch.cat(made)

    def noise(self, lines: Tensor, draw: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Noise in HU of every slice, by filtered back-projection of noise on its rays.

        Only the noise is reconstructed: the anatomy is not blurred or shifted.

        Args:
            lines: ``(S, V', C')``, from :meth:`lines`.
            draw: from a slice's number and its line integrals ``(V, C)``, of all rays, to the
                noise on them.

        Returns:
            ``(S, X, Y)`` float32.
        """
        import torch
        from torch.nn import functional as F

        fine = (self.geometry.views, self.geometry.channels)
        x, y = self._corner
        size = _square(self.shape)
        made = []
        for first in range(0, len(lines), _TOGETHER):
            part = lines[first : first + _TOGETHER]
            every = F.interpolate(part[:, None], size=fine, mode="bilinear")[:, 0]
            noise = torch.stack([draw(first + k, one) for k, one in enumerate(every)])
            image = reconstruct(noise, self.geometry, self.kernel, size, self.pixel_mm)
            made.append(image[:, x : x + self.shape[0], y : y + self.shape[1]])
        return torch.cat(made) * (1000.0 / self.mu_water)

    def variance(self, rays: Tensor) -> Tensor:
        """The variance of the noise at each place, to a few per cent.

        ``(pi / V)^2 tau sum_views w^2 cos^2 g var(p) * 2 integral of f^2 K^2 df`` with the channel
        pitch tau: for equal rays of a parallel beam ``2 pi^2 tau / V var(p) integral f^2 K^2 df``
        (Kak and Slaney 1988, section 5.2).

        Args:
            rays: ``(S, V', C')``, the variance of one ray of the full geometry at the place of each
                coarse one.

        Returns:
            ``(S, X', Y')`` float32 in HU^2, on pixels :data:`COARSE` times as large that begin
            where the slice does, to within a pixel.
        """
        if self.geometry.beam == "fan":
            rays = rays * (self.coarse.offsets(rays.device) / self.coarse.source_mm).cos() ** 2
        size, pixel = _square(self.shape) // COARSE, self.pixel_mm * COARSE
        image = back_project(rays, self.coarse, size, pixel, finer=1, power=2)
        gain = ramp_power(self.kernel) * self.geometry.pitch_mm * (1000.0 / self.mu_water) ** 2
        gain *= self.coarse.views / self.geometry.views
        x, y = (start // COARSE for start in self._corner)
        nx, ny = (math.ceil(n / COARSE) for n in self.shape)
        return image[:, x : x + nx, y : y + ny] * gain

    @property
    def _corner(self) -> tuple[int, int]:
        """Where the slice begins in the square."""
        size = _square(self.shape)
        return (size - self.shape[0]) // 2, (size - self.shape[1]) // 2


def _square(shape: tuple[int, int]) -> int:
    """Side of the square that holds a slice: a multiple of 4, so that coarse pixels fill it."""
    return 4 * math.ceil(max(shape) / 4)


def scanner_for(
    shape: tuple[int, int],
    pixel_mm: float,
    kernel: Kernel,
    *,
    beam: Beam,
    views: int,
    source_mm: float,
    bowtie_mm: float,
    mu_water: float,
) -> Scanner:
    """A scanner for slices of that shape.

    Args:
        shape: X and Y, in pixels.
        pixel_mm: size of a pixel in mm.
        kernel: the window on the ramp.
        beam, views, source_mm: see :func:`meddenoise.noise.ct.geometry.geometry_for`.
        bowtie_mm, mu_water: see :class:`Scanner`.

    Raises:
        ParameterError: an impossible parameter.
    """
    geometry = geometry_for(_square(shape), pixel_mm, beam=beam, views=views, source_mm=source_mm)
    return Scanner(geometry, kernel, shape, pixel_mm, mu_water, bowtie_mm)
