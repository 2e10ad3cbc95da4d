"""Simulated CT scans of clean slices: photons and electronics on every ray."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from meddenoise.noise.ct.geometry import SOURCE_MM, Beam
from meddenoise.noise.ct.kernels import Kernel, chosen_kernel
from meddenoise.noise.ct.scan import scanner_for
from meddenoise.noise.ct.slices import Slices, check_whole
from meddenoise.noise.draws import (
    check_number,
    checked_parameter,
    poisson_counts,
    standard_normal,
)
from meddenoise.noise.poisson import MU_WATER
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["ct_projection", "noisy_line_integrals"]


def noisy_line_integrals(
    lines: Tensor,
    entering: Tensor,
    *,
    electronic: float = 10.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """What a detector makes of line integrals p.

    ::

        N  ~ Poisson(I e^-p) + Normal(0, electronic^2)
        p' = -ln(max(N, 1/2) / I)

    To first order ``var(p') = e^p/I (1 + electronic^2 e^p/I)``. (Yu et al., J Comput Assist Tomogr
    36:477, 2012; La Riviere and Billmire, IEEE Trans Med Imaging 24:105, 2005.)

    Args:
        lines: p, any shape, float32; without a unit.
        entering: I, photons that enter each ray, broadcasting to ``lines``; above 0.
        electronic: **standard deviation** of the electronic noise, in detected photons (papers
            often state the variance).
        generator: where the draws come from.

    Returns:
        p', ``lines``'s shape and dtype.
    """
    mean = entering * (-lines).exp()
    counts = poisson_counts(mean, generator)
    counts = counts + electronic * standard_normal(counts, generator)
    return -(counts.clamp(min=0.5) / entering).log()


@register_noise("ct_projection", fractions=("dose",), units="HU")
def ct_projection(
    hu: Tensor,
    dose: float | Tensor,
    *,
    spacing: Sequence[float],
    photons: float = 1e6,
    electronic: float = 10.0,
    kernel: str | Kernel = "hann",
    cutoff: float = 1.0,
    beam: Beam = "parallel",
    views: int = 720,
    source_mm: float = SOURCE_MM,
    bowtie_mm: float = 0.0,
    mu_water: float = MU_WATER,
    generator: torch.Generator | None = None,
) -> Tensor:
    """A CT scan of noise-free slices with ``dose * photons`` photons a ray.

    With ``mu = mu_water max(0, 1 + HU/1000)`` and ``p = integral of mu dl`` along each ray of a
    circular scan of each axial slice, p' is drawn as in :func:`noisy_line_integrals` and
    **p' - p is reconstructed** by filtered back-projection and added: the anatomy stays as it is,
    unblurred, and noise has the streaks, the correlation and the dependence on the whole slice
    that real noise has. Where hardly a photon arrives, the logarithm biases p' upwards, as it
    does in a scanner. In uniform soft tissue the noise has variance
    ``(1000/mu_water)^2 2 pi^2 tau / views mean(var(p')) integral of f^2 K(f)^2 df``, tau the
    distance of rays (a pixel / sqrt(2)), and a power spectrum proportional to ``f K(f)^2``.

    For an already noisy clinical scan take :func:`meddenoise.noise.ct.ct_insertion`.

    Args:
        hu: CT numbers in HU, ``(..., X, Y)`` or ``(..., X, Y, Z)`` with whole axial slices (at
            least 100 mm across; the axis of rotation in the middle), floating point; not
            modified. Below -1000 HU, and where not finite, there is air.
        dose: fraction of the full dose, above 0 and at most 1; a number, or one for each sample
            as ``(B, 1, ...)``.
        spacing: mm per voxel along X and Y (equal), and Z for a volume.
        photons: per ray at full dose, before the patient; about 1e5 to 1e6.
        electronic: standard deviation of the electronic noise, in photons; about 10.
        kernel: ``"ramp"``, ``"shepp-logan"`` or ``"hann"``, or a measured :class:`Kernel`.
        cutoff: of a named kernel, as a fraction of the pixels' Nyquist frequency.
        beam: ``"parallel"``, which scanners rebin their rays to before they reconstruct, or
            ``"fan"``, reconstructed as it is.
        views: projections of half a turn (parallel) or a full turn (fan); a multiple of 4.
        source_mm: from the source to the axis of rotation, in mm (fan).
        bowtie_mm: diameter in mm of the water cylinder that a bowtie filter makes up for, or 0
            without one.
        mu_water: attenuation of water in **1/mm**.
        generator: where the draws come from; torch's global one if None.

    Returns:
        HU with noise; a new tensor of ``hu``'s shape, dtype and device.

    Raises:
        ParameterError: a parameter out of its range; a patch instead of whole slices; pixels that
            are not square.
    """
    slices = Slices.of(hu, spacing)
    check_whole(slices, "ct_projection")
    fraction = checked_parameter(
        "dose", dose, slices.image, unit="fraction of the full dose", most=1.0, open_below=True
    )
    photons = check_number("photons", photons, unit="photons per ray", open_below=True)
    electronic = check_number("electronic", electronic, unit="standard deviation in photons")
    entering = photons * slices.each("dose", fraction)
    scanner = scanner_for(
        (slices.hu.shape[-2], slices.hu.shape[-1]),
        slices.pixel_mm,
        chosen_kernel(kernel, slices.pixel_mm, cutoff),
        beam=beam,
        views=views,
        source_mm=source_mm,
        bowtie_mm=bowtie_mm,
        mu_water=mu_water,
    )
    passed = scanner.transmission(scanner.geometry, slices.hu)

    def draw(number: int, lines: Tensor) -> Tensor:
        noisy = noisy_line_integrals(
            lines, entering[number] * passed, electronic=electronic, generator=generator
        )
        return noisy - lines

    return slices.plus(scanner.noise(scanner.lines(slices.hu), draw))
