"""Reconstruction kernels: what filtered back-projection makes of each spatial frequency."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meddenoise.errors import ParameterError
from meddenoise.noise.draws import check_number
from meddenoise.registry import nearest

if TYPE_CHECKING:
    from torch import Tensor

    from meddenoise.noise.ct.measure import ScanNoise

__all__ = ["KERNELS", "Kernel", "chosen_kernel", "named_kernel", "ramp_power"]

KERNELS = ("ramp", "shepp-logan", "hann")
"""Kernels that go by name."""


@dataclass(frozen=True)
class Kernel:
    """The window K(f) that multiplies the ramp ``|f|``, as a table.

    Attributes:
        frequencies: ascending from 0, in cycles per mm.
        response: K at those frequencies, at least 0; linear between, 0 beyond the last.
        name: for messages.
    """

    frequencies: tuple[float, ...]
    response: tuple[float, ...]
    name: str = "measured"

    def __call__(self, frequency: Tensor) -> Tensor:
        """K at each frequency (cycles per mm, at least 0): the same shape, dtype and device."""
        import torch

        values = np.interp(
            frequency.detach().cpu().double().numpy(), self.frequencies, self.response, right=0.0
        )
        return torch.as_tensor(values).to(frequency)


def named_kernel(name: str, nyquist: float, cutoff: float = 1.0) -> Kernel:
    """A kernel by name.

    With ``c = cutoff * nyquist``, and 0 above c: ``ramp`` K = 1; ``shepp-logan``
    K = sin(x)/x with x = pi f / 2c; ``hann`` K = (1 + cos(pi f / c)) / 2.
    (Kak and Slaney, Principles of Computerized Tomographic Imaging, 1988, chapter 3.)

    Args:
        name: one of :data:`KERNELS`.
        nyquist: Nyquist frequency of the pixel grid, in cycles per mm.
        cutoff: as a fraction of it, above 0 and at most 1.4 (its diagonal).

    Raises:
        ParameterError: an unknown name (the nearest is told) or a cutoff out of range.
    """
    if name not in KERNELS:
        raise ParameterError(
            f"kernel is {name!r}{nearest(str(name), KERNELS)}: it must be one of "
            f"{', '.join(KERNELS)}, or 'measured' where a model takes that."
        )
    cutoff = check_number(
        "cutoff", cutoff, unit="fraction of the pixels' Nyquist frequency", most=1.4,
        open_below=True,
    )  # fmt: skip
    edge = cutoff * nyquist
    f = np.linspace(0.0, edge, 257)
    response = {
        "ramp": np.ones_like(f),
        "shepp-logan": np.sinc(f / (2 * edge)),
        "hann": 0.5 * (1 + np.cos(math.pi * f / edge)),
    }[name]
    return Kernel(tuple(f.tolist()), tuple(response.tolist()), name)


def ramp_power(kernel: Kernel) -> float:
    """``2 * integral of f^2 K(f)^2 df`` over f > 0, in 1/mm^3.

    It is the variance that the filter makes of white noise of density 1 on the detector. The noise
    in the picture has a power spectrum proportional to ``f K(f)^2`` (Riederer, Pelc and Chesler,
    Phys Med Biol 23:446, 1978; Hanson, Med Phys 6:441, 1979).
    """
    from scipy.integrate import trapezoid

    f = np.linspace(0.0, kernel.frequencies[-1], 4097)
    k = np.interp(f, kernel.frequencies, kernel.response)
    return float(2 * trapezoid(f**2 * k**2, f))


def chosen_kernel(
    kernel: str | Kernel, pixel_mm: float, cutoff: float = 1.0, noise: ScanNoise | None = None
) -> Kernel:
    """The kernel that a parameter names.

    Args:
        kernel: a name, ``"measured"``, or a kernel itself.
        pixel_mm: size of a pixel in mm.
        cutoff: of a named kernel, see :func:`named_kernel`.
        noise: measured on the scan, for ``"measured"``.

    Raises:
        ParameterError: an unknown name, or ``"measured"`` where nothing is.
    """
    if isinstance(kernel, Kernel):
        return kernel
    if kernel == "measured" and noise is not None:
        return noise.kernel
    return named_kernel(kernel, 0.5 / pixel_mm, cutoff)
