"""Line integrals through slices, and their filtered back-projection, batched over slices.

Shapes: S slices, N x N pixels, V views, C channels, Q quarter turns.

No projector on PyPI is permissively licensed, light, and made for the CPU, so this is our own. Both
directions are sums of few weighted pixels (or channels), whose indices do not depend on the
slice: ``embedding_bag`` with the slices in its last axis gathers and sums them in one pass. Views a
quarter turn apart share their indices too, with the slice turned.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from meddenoise.noise.ct.geometry import Geometry
from meddenoise.noise.ct.kernels import Kernel

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["back_project", "filtered", "project", "reconstruct"]

# The filtered projections are sampled that much finer, so that linear interpolation between them
# takes no noise away.
_FINER = 2
# Views whose indices are held at a time.
_AT_ONCE = 8


def project(mu: Tensor, geometry: Geometry, pixel_mm: float) -> Tensor:
    """``p = integral of mu dl`` along each ray, by bilinear samples a pixel apart.

    Args:
        mu: ``(S, N, N)`` float32, attenuation in 1/mm; 0 outside.
        geometry: the rays.
        pixel_mm: size of a pixel in mm.

    Returns:
        ``(S, V, C)`` float32, without a unit.
    """
    import torch
    from torch.nn import functional as F

    count, size, _ = mu.shape
    turns = geometry.quarter_turns
    turned = torch.stack([mu.rot90(-q, (1, 2)) for q in range(turns)])
    # Two rows of nothing around: what lies outside is read from there.
    wide = F.pad(turned, (2, 2, 2, 2)).reshape(turns * count, -1)
    table = wide.T.contiguous()
    sampler = _RaySampler(size, pixel_mm, geometry, mu)
    rows = [
        F.embedding_bag(index, table, mode="sum", per_sample_weights=weight)
        for index, weight in map(sampler, range(geometry.views // turns))
    ]
    line = torch.stack(rows) * pixel_mm
    line = line.reshape(-1, geometry.channels, turns, count)
    return line.permute(3, 2, 0, 1).reshape(count, geometry.views, geometry.channels)


class _RaySampler:
    """For a view: which pixels each ray sums, and their weights, ``(C, 4 T)`` each."""

    def __init__(self, size: int, pixel_mm: float, geometry: Geometry, like: Tensor) -> None:
        import torch

        self.size = size
        self.geometry = geometry
        steps = math.ceil(math.sqrt(2) * size) + 1
        # All in pixels from here on.
        along = torch.arange(steps, dtype=like.dtype, device=like.device) - (steps - 1) / 2
        foot = geometry.distances(like.device) / pixel_mm
        fan = geometry.beam == "fan"
        tilt = geometry.offsets(like.device) / geometry.source_mm if fan else 0 * foot
        # In the view's own axes (s, t): the ray's point nearest to the axis, and its direction.
        self.s = (foot * tilt.cos())[:, None] + tilt.sin()[:, None] * along
        self.t = (-foot * tilt.sin())[:, None] + tilt.cos()[:, None] * along

    def __call__(self, view: int) -> tuple[Tensor, Tensor]:
        import torch

        angle = self.geometry.angle(view)
        centre = (self.size - 1) / 2 + 2
        x = (self.s * math.cos(angle) - self.t * math.sin(angle) + centre).clamp_(0, self.size + 2)
        y = (self.s * math.sin(angle) + self.t * math.cos(angle) + centre).clamp_(0, self.size + 2)
        i, j = x.floor(), y.floor()
        u, v = x.sub_(i), y.sub_(j)
        width = self.size + 4
        index = self.s.new_empty(*self.s.shape, 4, dtype=torch.int32)
        index[..., 0] = i.mul_(width).add_(j)
        for corner, away in enumerate((1, width, width + 1), 1):
            index[..., corner] = index[..., 0] + away
        weight = self.s.new_empty(*self.s.shape, 4)
        weight[..., 3] = u * v
        weight[..., 2] = u - weight[..., 3]
        weight[..., 1] = v - weight[..., 3]
        weight[..., 0] = 1 - u - weight[..., 1]
        return index.flatten(1), weight.flatten(1)


def filtered(lines: Tensor, geometry: Geometry, kernel: Kernel) -> Tensor:
    """Projections through ramp and kernel, sampled twice as finely as they came.

    The ramp is the band-limited one in its discrete form, so that the mean is kept; for a fan beam
    with the factors ``cos g`` and ``(g / sin g)^2`` of equal angles (Kak and Slaney 1988, eq. 61,
    116 and 126).

    Args:
        lines: ``(S, V, C)`` float32.
        geometry: the rays.
        kernel: the window on the ramp.

    Returns:
        ``(S, V, 2 C)`` float32, per mm.
    """
    import torch

    channels, pitch = geometry.channels, geometry.pitch_mm
    length = 2 ** math.ceil(math.log2(2 * channels))
    n = torch.fft.fftfreq(length, 1 / length, dtype=torch.float64, device=lines.device)
    ramp = torch.where(n % 2 == 0, 0.0, -1 / (math.pi * n * pitch) ** 2)
    ramp[0] = 1 / (4 * pitch**2)
    if geometry.beam == "fan":
        angle = n * pitch / geometry.source_mm
        # Further apart than any two channels are: padding, where the factor has no meaning.
        angle = angle.clamp(-math.pi / 2, math.pi / 2)
        ramp *= 1 / (angle / math.pi).sinc() ** 2
        offsets = geometry.offsets(lines.device)
        lines = lines * (offsets / geometry.source_mm).cos()
    f = torch.fft.rfftfreq(length, pitch, dtype=torch.float64, device=lines.device)
    response = torch.fft.rfft(ramp).real * pitch * kernel(f)
    # Linear interpolation between the finer samples multiplies by this; taken back here.
    response /= (f * pitch / _FINER).sinc() ** 2
    spectrum = torch.fft.rfft(lines, n=length) * response.to(lines.dtype)
    fine = torch.fft.irfft(spectrum * _FINER, n=length * _FINER)
    return fine[..., : channels * _FINER]


def back_project(
    lines: Tensor, geometry: Geometry, size: int, pixel_mm: float, *, finer: int, power: int = 1
) -> Tensor:
    """Sum over all views of the value at each pixel's ray, times the angle between views.

    ``sum_views (pi / V) w p(s)`` with ``w = 1`` for a parallel beam and ``(D / L)^2`` for a fan, D
    from source to axis and L from source to pixel (Kak and Slaney 1988, eq. 127: each ray is
    measured twice in a full turn, hence pi and not 2 pi).

    Args:
        lines: ``(S, V, finer * C)`` float32.
        geometry: the rays.
        size: N.
        pixel_mm: size of a pixel in mm.
        finer: samples for each channel; sample ``finer * c`` is at channel c.
        power: of the weights, 2 to carry variances.

    Returns:
        ``(S, N, N)`` float32.
    """
    import torch
    from torch.nn import functional as F

    count, views, samples = lines.shape
    turns = geometry.quarter_turns
    each = views // turns
    table = lines.reshape(count, turns, each, samples).permute(2, 3, 1, 0)
    table = table.reshape(each, samples, turns * count).contiguous()
    total = lines.new_zeros(size * size, turns * count)
    sampler = _PixelSampler(size, pixel_mm, geometry, finer, power, lines)
    for start in range(0, each, _AT_ONCE):
        part = table[start : start + _AT_ONCE]
        index, weight = sampler(start, len(part))
        total += F.embedding_bag(
            index, part.reshape(-1, turns * count), mode="sum", per_sample_weights=weight
        )
    image = total.reshape(size, size, turns, count).permute(2, 3, 0, 1)
    angle = (math.pi / views) ** power
    return torch.stack([image[q].rot90(q, (1, 2)) for q in range(turns)]).sum(0) * angle


class _PixelSampler:
    """For K views: the two samples on either side of each pixel's ray, ``(N N, 2 K)`` each."""

    def __init__(
        self, size: int, pixel_mm: float, geometry: Geometry, finer: int, power: int, like: Tensor
    ) -> None:
        import torch

        self.geometry = geometry
        self.finer = finer
        self.power = power
        place = torch.arange(size, dtype=like.dtype, device=like.device)
        place = (place - (size - 1) / 2) * pixel_mm
        self.x, self.y = place[:, None, None], place[None, :, None]

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        import torch

        geometry = self.geometry
        angles = self.x.new_tensor([geometry.angle(first + k) for k in range(count)])
        cos, sin = angles.cos(), angles.sin()
        scale = None
        place = self.x * cos + self.y * sin
        if geometry.beam == "fan":
            depth = geometry.source_mm - self.x * sin + self.y * cos
            scale = (geometry.source_mm**2 / (place * place + depth * depth)) ** self.power
            place = torch.atan2(place, depth).mul_(geometry.source_mm)
        samples = geometry.channels * self.finer
        place.mul_(self.finer / geometry.pitch_mm).add_((geometry.channels - 1) / 2 * self.finer)
        left = place.floor().clamp_(0, samples - 2)
        share = place.sub_(left).clamp_(0, 1)
        weight = place.new_empty(*place.shape, 2)
        weight[..., 1] = share
        weight[..., 0] = 1 - share
        if scale is not None:
            weight *= scale[..., None]
        index = place.new_empty(*place.shape, 2, dtype=torch.int32)
        index[..., 0] = left
        index[..., 0] += torch.arange(count, dtype=torch.int32, device=left.device) * samples
        index[..., 1] = index[..., 0] + 1
        return index.flatten(2).flatten(0, 1), weight.flatten(2).flatten(0, 1)


def reconstruct(
    lines: Tensor, geometry: Geometry, kernel: Kernel, size: int, pixel_mm: float
) -> Tensor:
    """Filtered back-projection.

    Args:
        lines: ``(S, V, C)`` float32, line integrals.
        geometry: the rays they were taken along.
        kernel: the window on the ramp.
        size: N, pixels along a side.
        pixel_mm: size of a pixel in mm.

    Returns:
        ``(S, N, N)`` float32, in 1/mm.
    """
    fine = filtered(lines, geometry, kernel)
    return back_project(fine, geometry, size, pixel_mm, finer=_FINER)
