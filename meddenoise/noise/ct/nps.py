"""A lower dose from an existing CT scan in the image domain: noise of the right spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from meddenoise.errors import ParameterError
from meddenoise.noise.ct.kernels import Kernel, chosen_kernel
from meddenoise.noise.ct.measure import measure_noise
from meddenoise.noise.ct.slices import Slices
from meddenoise.noise.draws import checked_parameter, standard_normal
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["ct_nps", "shaped"]

_SMALLEST = 16


def shaped(white: Tensor, kernel: Kernel, pixel_mm: float) -> Tensor:
    """White noise with the power spectrum of filtered back-projection, ``NPS ~ f K(f)^2``.

    Args:
        white: ``(S, X, Y)`` independent N(0, 1).
        kernel: K.
        pixel_mm: size of a pixel in mm.

    Returns:
        The same shape and dtype, variance 1; opposite borders are neighbours.
    """
    import torch

    f = [torch.fft.fftfreq(n, pixel_mm, device=white.device) for n in white.shape[-2:]]
    radius = f[0][:, None].hypot(f[1][None, :]).to(white.dtype)
    power = radius * kernel(radius) ** 2
    amplitude = (power / power.mean()).sqrt()
    return torch.fft.ifft2(torch.fft.fft2(white) * amplitude).real


@register_noise("ct_nps", fractions=("dose",), units="HU")
def ct_nps(
    hu: Tensor,
    dose: float | Tensor,
    *,
    spacing: Sequence[float],
    sigma: float | Tensor | None = None,
    kernel: str | Kernel = "measured",
    cutoff: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """An existing clinical scan with ``dose`` of its photons, by noise added to its pictures.

    ``hu + sigma sqrt(1/dose - 1) n`` with n of variance 1 and the noise power spectrum of filtered
    back-projection, ``f K(f)^2`` (Hanson, Med Phys 6:441, 1979; the method of Won Kim and Kim, Phys
    Med Biol 59:2041, 2014). sigma is the scan's own noise, at every place: by default measured
    in its flat soft tissue and smoothed over 40 mm.

    Quicker than :func:`meddenoise.noise.ct.ct_insertion`, and for patches too; but it knows of no
    streaks, and of no electronic noise, which at low doses adds to what photons account for. Axial
    slices lie across the last axis of a volume: in training keep ``augment: flips`` where voxels
    are cubes. On patches give sigma and a named kernel, for there is little to measure there.

    Args:
        hu: CT numbers in HU, ``(..., X, Y)`` or ``(..., X, Y, Z)``, floating point, at least 16
            pixels a side; not modified.
        dose: fraction of the scan's own dose, above 0 and at most 1 (no noise added); a number,
            or one for each sample as ``(B, 1, ...)``.
        spacing: mm per voxel along X and Y (equal), and Z for a volume.
        sigma: standard deviation of the noise that the scan has, in HU, or ``None`` to measure it
            from place to place; a number, or one for each sample as ``(B, 1, ...)``.
        kernel: ``"measured"`` (on the scan), ``"ramp"``, ``"shepp-logan"``, ``"hann"``, or a
            :class:`Kernel`.
        cutoff: of a named kernel, as a fraction of the pixels' Nyquist frequency.
        generator: where the draws come from; torch's global one if None.

    Returns:
        HU with more noise; a new tensor of ``hu``'s shape, dtype and device.

    Raises:
        ParameterError: a parameter out of its range; slices below 16 pixels; pixels that are not
            square; too little flat soft tissue to measure the scan's noise.
    """
    import torch

    slices = Slices.of(hu, spacing)
    shape = tuple(slices.hu.shape)
    if min(shape[1:]) < _SMALLEST:
        raise ParameterError(
            f"The noise model 'ct_nps' needs at least {_SMALLEST} x {_SMALLEST} pixels a slice to "
            f"correlate noise in, and this is {shape[1]} x {shape[2]}."
        )
    fraction = checked_parameter(
        "dose", dose, slices.image, unit="fraction of the scan's dose", most=1.0, open_below=True
    )
    each = slices.each("dose", fraction)
    noise = None
    if sigma is None or kernel == "measured":
        noise = measure_noise(slices.hu.cpu().numpy(), slices.pixel_mm)
    if sigma is None:
        assert noise is not None
        places = noise.sigma_map((shape[0], shape[1], shape[2]), slices.pixel_mm, slices.step_mm)
        own = torch.from_numpy(places).to(slices.hu)
    else:
        level = checked_parameter("sigma", sigma, slices.image, unit="HU")
        own = slices.each("sigma", level)[:, None, None]
    window = chosen_kernel(kernel, slices.pixel_mm, cutoff, noise)
    white = standard_normal(slices.hu, generator)
    added = own * (1 / each - 1).sqrt()[:, None, None]
    return slices.plus(added * shaped(white, window, slices.pixel_mm))
