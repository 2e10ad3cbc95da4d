"""A lower dose from an existing CT scan: the noise that is lacking is inserted on its rays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meddenoise.noise.ct.geometry import SOURCE_MM, Beam
from meddenoise.noise.ct.kernels import Kernel, chosen_kernel
from meddenoise.noise.ct.measure import ScanNoise, measure_noise
from meddenoise.noise.ct.scan import COARSE, Scanner, scanner_for
from meddenoise.noise.ct.slices import Slices, check_whole
from meddenoise.noise.draws import check_number, checked_parameter, standard_normal
from meddenoise.noise.poisson import MU_WATER
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["ct_insertion", "insertion_sigma", "photons_of"]

# Beyond that hardly a photon is left, the logarithm is no longer linear, and scanners clip.
_MOST_SIGMA = 2.0
_MOST_LINE = 15.0


def insertion_sigma(
    lines: Tensor, dose: float | Tensor, photons: float | Tensor, electronic: float
) -> Tensor:
    """Standard deviation of the noise that takes line integrals p from full dose to ``dose`` a.

    ``sqrt((1-a)/a e^p/N0 (1 + (1+a)/a Ne e^p/N0))`` with Ne = electronic^2 (Yu et al., J Comput
    Assist Tomogr 36:477, 2012). With the scan's own noise, ``e^p/N0 (1 + Ne e^p/N0)``, it makes the
    noise of ``a N0`` photons. At most 2, where hardly a photon is left.

    Args:
        lines: p, any shape; without a unit.
        dose: a, a fraction of the scan's own dose.
        photons: N0 of the scan as it is, per ray.
        electronic: standard deviation of the electronic noise, in photons.

    Returns:
        ``lines``'s shape and dtype, without a unit.
    """
    per_photon = lines.clamp(max=_MOST_LINE).exp() / photons
    share = 1 + (1 + dose) / dose * electronic**2 * per_photon
    return ((1 - dose) / dose * per_photon * share).sqrt().clamp(max=_MOST_SIGMA)


def photons_of(
    scanner: Scanner, lines: Tensor, noise: ScanNoise, electronic: float, step_mm: float
) -> NDArray[np.float64]:
    """How many photons a ray explain the noise that slices already have.

    In each measured patch ``A/N0 + B/N0^2`` is its variance, A and B what ``e^p`` and
    ``Ne e^2p`` on the rays become in the image; N0 of a slice is the median over the patches that
    speak for it (:meth:`ScanNoise.patches_of`).

    Args:
        scanner: the rays and the kernel.
        lines: ``(S, V', C')``, of these slices, from :meth:`Scanner.lines`.
        noise: of these slices, measured.
        electronic: standard deviation of the electronic noise, in photons.
        step_mm: from one slice to the next, in mm.

    Returns:
        ``(S,)`` photons per ray before the patient (and before the bowtie's share).
    """
    import torch

    numbers = np.unique(noise.where[:, 0])
    passed = scanner.transmission(scanner.coarse, lines)
    each = lines[torch.from_numpy(numbers)].clamp(max=_MOST_LINE).exp() / passed
    a, b = (
        np.concatenate([scanner.variance(few).double().cpu().numpy() for few in part.split(16)])
        for part in (each, electronic**2 * each**2)
    )
    row = np.searchsorted(numbers, noise.where[:, 0])
    x = np.minimum(noise.where[:, 1] // COARSE, a.shape[1] - 1)
    y = np.minimum(noise.where[:, 2] // COARSE, a.shape[2] - 1)
    a, b = a[row, x, y], b[row, x, y]
    photons = (a + np.sqrt(a**2 + 4 * noise.variance * b)) / (2 * noise.variance)
    speaking = noise.patches_of(len(lines), step_mm)
    return np.array([np.median(photons[those]) for those in speaking])


@register_noise("ct_insertion", fractions=("dose",), units="HU")
def ct_insertion(
    hu: Tensor,
    dose: float | Tensor,
    *,
    spacing: Sequence[float],
    photons: float | None = None,
    electronic: float = 10.0,
    kernel: str | Kernel = "measured",
    cutoff: float = 1.0,
    beam: Beam = "parallel",
    views: int = 720,
    source_mm: float = SOURCE_MM,
    bowtie_mm: float = 0.0,
    mu_water: float = MU_WATER,
    generator: torch.Generator | None = None,
) -> Tensor:
    """An existing clinical scan as it had been with ``dose`` of its photons.

    Its slices are projected, Gaussian noise with :func:`insertion_sigma` is drawn on every ray,
    and **only that noise** is reconstructed and added: the mean of the result is the scan itself.
    (Yu, Shiung, Jondal and McCollough, J Comput Assist Tomogr 36:477, 2012, with the scan's own
    pictures in place of its raw data.)

    How many photons the scan had, and its kernel, are measured from the scan's own noise by
    default (:func:`meddenoise.noise.ct.measure_noise`), slice by slice as tube current changes
    along the patient. A scan without noise then gets none: for one take
    :func:`meddenoise.noise.ct.ct_projection`.

    Slices get noise independent of each other; in scans whose slices overlap it is not.

    Args:
        hu: CT numbers in HU, ``(..., X, Y)`` or ``(..., X, Y, Z)`` with whole axial slices (at
            least 100 mm across), floating point; not modified. Below -1000 HU, and where not
            finite, there is air.
        dose: fraction of the scan's own dose, above 0 and at most 1 (no noise added); a number,
            or one for each sample as ``(B, 1, ...)``.
        spacing: mm per voxel along X and Y (equal), and Z for a volume.
        photons: per ray of the scan as it is, before the patient, or ``None`` to measure them.
        electronic: standard deviation of the electronic noise, in photons; about 10.
        kernel: ``"measured"`` (on the scan), ``"ramp"``, ``"shepp-logan"``, ``"hann"``, or a
            :class:`Kernel`.
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
        HU with more noise; a new tensor of ``hu``'s shape, dtype and device.

    Raises:
        ParameterError: a parameter out of its range; a patch instead of whole slices; pixels that
            are not square; too little flat soft tissue to measure the scan's noise.
    """
    import torch

    slices = Slices.of(hu, spacing)
    check_whole(slices, "ct_insertion")
    fraction = checked_parameter(
        "dose", dose, slices.image, unit="fraction of the scan's dose", most=1.0, open_below=True
    )
    each = slices.each("dose", fraction)
    electronic = check_number("electronic", electronic, unit="standard deviation in photons")
    noise = None
    if photons is None or kernel == "measured":
        noise = measure_noise(slices.hu.cpu().numpy(), slices.pixel_mm)
    scanner = scanner_for(
        (slices.hu.shape[-2], slices.hu.shape[-1]),
        slices.pixel_mm,
        chosen_kernel(kernel, slices.pixel_mm, cutoff, noise),
        beam=beam,
        views=views,
        source_mm=source_mm,
        bowtie_mm=bowtie_mm,
        mu_water=mu_water,
    )
    lines = scanner.lines(slices.hu)
    if photons is None:
        assert noise is not None
        found = photons_of(scanner, lines, noise, electronic, slices.step_mm)
        entering = torch.from_numpy(found).to(slices.hu)
    else:
        check_number("photons", photons, unit="photons per ray", open_below=True)
        entering = slices.each("photons", float(photons))
    passed = scanner.transmission(scanner.geometry, slices.hu)

    def draw(number: int, rays: Tensor) -> Tensor:
        sigma = insertion_sigma(rays, each[number], entering[number] * passed, electronic)
        return sigma * standard_normal(rays, generator)

    return slices.plus(scanner.noise(lines, draw))
