"""The noise that a CT scan already has: its strength from place to place, and its kernel.

Reconstructed anatomy is smooth and its noise is not: within flat patches of soft tissue nearly all
power above 0.25 cycles per mm is noise. Below that its spectrum is continued as filtered
back-projection has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.noise.ct.kernels import Kernel

__all__ = ["ScanNoise", "measure_noise", "radial_bins"]

_PATCH_MM = 24.0
_SMALLEST, _LARGEST = 16, 48
# Fat to contrast-enhanced organs; neither air, lung nor bone.
_SOFT_HU = (-200.0, 300.0)
_SMOOTH_MM = 2.0
# In cycles per mm: from here on noise outdoes anatomy, as measured on pairs of doses; below, only
# where the patches are as alike as noise is, down to where their detrending begins to tell.
_ANATOMY_ENDS = 0.25
_LOWEST = 0.12
# How much more than noise a ring's power may vary from patch to patch.
_ALIKE = 2.0
# The spectrum is continued downwards from the band up to this many times as high.
_FITTED_OCTAVE = 1.8
_FEWEST_BINS = 3
# Of each slice's patches, the share with the least anatomy, and at least so many of them.
_SHARE, _AT_LEAST = 0.3, 4
_FEWEST_PATCHES = 4
_NEAR_MM = 8.0
_MAP_MM = 40.0
_EVERYWHERE = 1e-3
# What has so many times the anatomy of the flattest fifth of these says nothing of noise, even
# where its slice has nothing flatter (a knee).
_TOO_MUCH = 2.0


@dataclass(frozen=True)
class ScanNoise:
    """What :func:`measure_noise` found.

    Attributes:
        kernel: K(f), 1 at f = 0, such that the noise power spectrum is proportional to
            ``f K(f)^2``.
        where: ``(n, 3)`` int: slice and centre pixel (x, y) of each patch that was measured.
        variance: ``(n,)`` float, of the noise there, in HU^2.
    """

    kernel: Kernel
    where: NDArray[np.int64]
    variance: NDArray[np.float64]

    @property
    def sigma(self) -> float:
        """Standard deviation in soft tissue, the median over all patches, in HU."""
        return float(np.sqrt(np.median(self.variance)))

    def patches_of(self, slices: int, step_mm: float) -> list[NDArray[np.int64]]:
        """The patches that speak for each slice: its own and those within 8 mm on either side.

        Tube current changes along the patient, but not from slice to slice. Where there are fewer
        than four of them, those of the nearest slice with as many (or, if none has, with most).

        Args:
            slices: S, how many there are.
            step_mm: from one to the next, in mm.
        """
        numbers = np.arange(slices)
        near = np.abs(numbers[:, None] - self.where[:, 0]) * step_mm <= _NEAR_MM
        found = near.sum(axis=1)
        enough = numbers[found >= min(_FEWEST_PATCHES, int(found.max()))]
        nearest = enough[np.abs(numbers[:, None] - enough).argmin(axis=1)]
        return [np.flatnonzero(near[number]) for number in nearest]

    def sigma_map(
        self, shape: tuple[int, int, int], pixel_mm: float, step_mm: float
    ) -> NDArray[np.float32]:
        """``(S, X, Y)``: sigma in HU at every pixel.

        Between the patches that speak for a slice by a Gaussian weight of 40 mm; further from them
        their mean.

        Args:
            shape: S, X and Y.
            pixel_mm: size of a pixel, in mm.
            step_mm: from one slice to the next, in mm.
        """
        made = np.empty(shape, dtype=np.float32)
        gap = [np.arange(n)[:, None] for n in shape[1:]]
        for number, chosen in enumerate(self.patches_of(shape[0], step_mm)):
            variance, centres = self.variance[chosen], self.where[chosen, 1:]
            near = [
                np.exp(-0.5 * ((gap[a] - centres[:, a]) * pixel_mm / _MAP_MM) ** 2) for a in (0, 1)
            ]
            # A little weight everywhere, so that far away it is the mean.
            weight = near[0] @ near[1].T + _EVERYWHERE * len(variance)
            total = (near[0] * variance) @ near[1].T + _EVERYWHERE * variance.sum()
            made[number] = np.sqrt(total / weight)
        return made


def measure_noise(hu: NDArray[np.floating], pixel_mm: float) -> ScanNoise:
    """Strength and kernel of the noise in axial slices.

    Patches of 24 mm of soft tissue are freed of a parabola, windowed, and Fourier transformed;
    of each slice those with the least power below 0.25 cycles per mm count. Their radial power
    spectra give ``K(f)^2 ~ NPS(f) / f``. Below 0.25 cycles per mm anatomy is stronger (below 0.12
    where the patches differ no more than noise does): a Gaussian fitted to ``K^2`` just above is
    continued there. The variance in a patch is its power above
    that frequency, divided by the share that the spectrum has there.

    Args:
        hu: ``(S, X, Y)``, in HU, finite.
        pixel_mm: size of a pixel, in mm.

    Raises:
        ParameterError: pixels too large to carry such frequencies, hardly any soft tissue, or
            no noise at all.
    """
    size = int(np.clip(2 * round(_PATCH_MM / pixel_mm / 2), _SMALLEST, _LARGEST))
    nyquist = 0.5 / pixel_mm
    if nyquist < _FITTED_OCTAVE * _ANATOMY_ENDS:
        raise ParameterError(
            f"Pixels of {pixel_mm:.2g} mm are too large to tell noise from anatomy (at most "
            f"{0.5 / _FITTED_OCTAVE / _ANATOMY_ENDS:.2g} mm): give the kernel by name, and "
            "photons or sigma."
        )
    where, spectra, index, frequency = _spectra(hu, pixel_mm, size)
    high = frequency >= _ANATOMY_ENDS
    counts = np.bincount(index.ravel())
    above = (spectra * counts)[:, high].sum(axis=1)
    below = (spectra * counts)[:, ~high].sum(axis=1)
    if len(where) < _FEWEST_PATCHES or not (above > 0).all():
        raise ParameterError(
            f"The scan's own noise cannot be measured: of flat soft tissue (-200 to 300 HU) with "
            f"noise there are {int((above > 0).sum())} patches of {_PATCH_MM:.0f} mm, and at least "
            f"{_FEWEST_PATCHES} are needed. Give the kernel by name, and photons or sigma."
        )
    relative = spectra / above[:, None]
    ends = _anatomy_ends(frequency, relative, _of_white_noise(size)[1])
    chosen = np.arange(len(where))
    if ends >= _ANATOMY_ENDS:
        # To choose by what is below is no harm above.
        chosen = _flattest(where[:, 0], below / above)
    kernel = _kernel(frequency, relative[chosen].mean(axis=0), ends)
    high = frequency >= ends
    above = (spectra * counts)[:, high].sum(axis=1)
    shape = frequency * np.interp(frequency, kernel.frequencies, kernel.response) ** 2
    share = (shape * counts).sum() / (shape * counts)[high].sum()
    plane = 1 / (size * pixel_mm) ** 2
    return ScanNoise(
        kernel, where[chosen] + (0, size // 2, size // 2), above[chosen] * share * plane
    )


def radial_bins(size: int, pixel_mm: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rings of a discrete Fourier transform, one frequency step wide.

    Returns:
        ``(size, size)`` the ring that each coefficient lies in, and the mean frequency of each
        ring in cycles per mm.
    """
    f = np.fft.fftfreq(size, pixel_mm)
    radius = np.hypot(f[:, None], f[None, :])
    index = np.rint(radius * size * pixel_mm).astype(np.int64)
    return index, np.bincount(index.ravel(), radius.ravel()) / np.bincount(index.ravel())


def _spectra(
    hu: NDArray[np.floating], pixel_mm: float, size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Corner of each patch of soft tissue, its radial spectrum (HU^2 mm^2), rings, frequencies."""
    from scipy.ndimage import gaussian_filter

    index, frequency = radial_bins(size, pixel_mm)
    corners: list[tuple[int, int, int]] = []
    spectra = []
    detrend, window = _window(size)
    for number, image in enumerate(hu):
        smooth = gaussian_filter(image, _SMOOTH_MM / pixel_mm)
        bad = np.cumsum(np.cumsum((smooth < _SOFT_HU[0]) | (smooth > _SOFT_HU[1]), 0), 1)
        bad = np.pad(bad, ((1, 0), (1, 0)))
        for i in range(0, image.shape[0] - size + 1, size // 2):
            for j in range(0, image.shape[1] - size + 1, size // 2):
                k, m = i + size, j + size
                if bad[k, m] - bad[i, m] - bad[k, j] + bad[i, j]:
                    continue
                corners.append((number, i, j))
                spectra.append(_power(image[i:k, j:m], detrend, window, index))
    # White noise of variance 1 has the density of a pixel's area.
    white, _ = _of_white_noise(size)
    found = np.array(spectra).reshape(-1, len(white)) * (pixel_mm**2 / white)
    return np.array(corners, dtype=np.int64).reshape(-1, 3), found, index, frequency


def _power(
    patch: NDArray[np.floating],
    detrend: NDArray[np.float64],
    window: NDArray[np.float64],
    index: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The power of each ring of a patch without its parabola."""
    flat = (patch.astype(np.float64) * window).ravel()
    flat -= detrend @ (detrend.T @ flat)
    power = np.abs(np.fft.fft2(flat.reshape(window.shape))) ** 2
    return np.bincount(index.ravel(), power.ravel()).astype(np.float64)


def _window(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """An orthonormal basis of windowed parabolas, and the window: Hann along both axes."""
    bell = np.hanning(size + 2)[1:-1]
    window = np.outer(bell, bell)
    x = np.linspace(-1, 1, size)
    u, v = np.meshgrid(x, x, indexing="ij")
    parabolas = np.stack([np.ones_like(u), u, v, u * u, v * v, u * v], -1) * window[..., None]
    basis, _ = np.linalg.qr(parabolas.reshape(-1, 6))
    return basis, window


@lru_cache(maxsize=8)
def _of_white_noise(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What :func:`_power` makes of white noise: mean of each ring, and its variance / mean^2.

    Drawn with a fixed seed, to 1 or 2 %: rings of few coefficients, which the window ties together,
    have no handy formula.
    """
    draws = np.random.default_rng(0)
    index, _ = radial_bins(size, 1.0)
    detrend, window = _window(size)
    rings = np.array(
        [_power(draws.standard_normal((size, size)), detrend, window, index) for _ in range(2000)]
    )
    return rings.mean(axis=0), rings.var(axis=0) / rings.mean(axis=0) ** 2


def _flattest(slices: NDArray[np.int64], anatomy: NDArray[np.float64]) -> NDArray[np.int64]:
    """Of each slice the patches with the least anatomy, but none with far more than is usual."""
    chosen = []
    for number in np.unique(slices):
        of_slice = np.flatnonzero(slices == number)
        count = min(len(of_slice), max(_AT_LEAST, math.ceil(_SHARE * len(of_slice))))
        chosen.append(of_slice[np.argsort(anatomy[of_slice], kind="stable")[:count]])
    every = np.concatenate(chosen)
    return every[anatomy[every] <= _TOO_MUCH * np.quantile(anatomy[every], 0.2)]


def _anatomy_ends(
    frequency: NDArray[np.float64], relative: NDArray[np.float64], white: NDArray[np.float64]
) -> float:
    """The frequency from which on there is only noise: its power is alike in all patches."""
    unlike = relative.var(axis=0) > _ALIKE * white * relative.mean(axis=0) ** 2
    mixed = frequency[(frequency < _LOWEST) | (unlike & (frequency < _ANATOMY_ENDS))]
    return float(frequency[frequency > mixed.max()].min())


def _kernel(frequency: NDArray[np.float64], spectrum: NDArray[np.float64], ends: float) -> Kernel:
    """K(f) from a radial noise power spectrum, continued below the frequencies of anatomy."""
    f = frequency[1:]
    squared = spectrum[1:] / f
    fitted = (f >= ends) & (f <= _FITTED_OCTAVE * ends)
    if fitted.sum() < _FEWEST_BINS:
        raise ParameterError("The image is too small to measure its kernel: give it by name.")
    # Weighted by power: towards the cutoff kernels fall faster than a Gaussian.
    slope, height = np.polyfit(
        f[fitted] ** 2, np.log(squared[fitted]), 1, w=spectrum[1:][fitted] / spectrum[1:].max()
    )
    # No kernel for looking at rises from zero within the anatomy; a rise is left out.
    slope = min(float(slope), 0.0)
    if slope == 0.0:
        height = float(np.log(squared[fitted]).mean())
    low = f < ends
    squared = np.where(low, np.exp(height + slope * f**2), squared)
    response = np.sqrt(np.concatenate([[1.0], squared / math.exp(height)]))
    return Kernel(tuple(frequency.tolist()), tuple(response.tolist()))
