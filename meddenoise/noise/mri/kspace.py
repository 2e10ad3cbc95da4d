"""Noise that went through a k-space filter: correlated between voxels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from meddenoise.errors import ParameterError
from meddenoise.noise.draws import (
    check_count,
    check_number,
    checked_parameter,
    spatial_axes,
    standard_normal,
    working,
)
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["kspace", "kspace_filter"]


@register_noise("kspace", levels=("sigma",), deviation="sigma")
def kspace(
    x: Tensor,
    sigma: float | Tensor,
    *,
    zero_filling: float = 2.0,
    partial_fourier: float = 1.0,
    apodisation: float = 0.0,
    acquisition: Literal["2d", "3d"] = "3d",
    phase_axis: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """MRI, Rician noise correlated by zero filling, partial Fourier or apodisation.

    ``M = |A + sigma z|`` with ``z = IFFT(H FFT(n)) / sqrt(<|H|^2>)`` and n complex white noise,
    N(0, 1) in each channel. H is :func:`kspace_filter`. The autocorrelation of z is the inverse
    FFT of |H|^2, so neighbours are alike, and a blind-spot network can guess the noise.

    Only the noise is filtered: the scan that noise is added to is taken for one that went
    through the same filter already. The noise wraps around at the borders.

    Args:
        x: the noise-free magnitude A, ``(X, Y)``, ``(X, Y, Z)`` or with ``(B, C)`` before; floating
            point; not modified. A negative value is taken as a signal of opposite phase.
        sigma: standard deviation of the noise in the real and the imaginary channel of the
            image that results, in image units, at least 0.
        zero_filling: by how much the matrix was enlarged along each axis, at least 1.
        partial_fourier: fraction of the lines along ``phase_axis`` that was measured, above 0.5
            and at most 1; the rest is 0.
        apodisation: tapered fraction of a Tukey window, 0 (none) to 1 (Hann).
        acquisition: ``"3d"`` filters along all axes, ``"2d"`` slice by slice, along the first
            two.
        phase_axis: which spatial axis is the phase-encoding one, from 0.
        generator: where the draws come from; torch's global one if None.

    Returns:
        A new tensor of ``x``'s shape, dtype and device, nowhere negative.

    Raises:
        ParameterError: a parameter out of its range; the message names it and its unit.
    """
    import torch

    clean = working(x)
    level = checked_parameter(
        "sigma", sigma, clean, unit="standard deviation per real/imaginary channel, image units"
    )
    if acquisition not in ("2d", "3d"):
        raise ParameterError(f"acquisition is {acquisition!r}: it must be '2d' or '3d'.")
    axes = spatial_axes(clean)[: 2 if acquisition == "2d" else None]
    h = kspace_filter(
        [clean.shape[axis] for axis in axes],
        zero_filling=zero_filling,
        partial_fourier=partial_fourier,
        apodisation=apodisation,
        phase_axis=phase_axis,
    ).to(clean)
    h = h / h.square().mean().sqrt()
    h = h.reshape(*h.shape, *[1] * (clean.ndim - axes[-1] - 1))
    # White noise is white in k-space, too: there it can be drawn, for one transform less.
    drawn = torch.complex(*(standard_normal(clean, generator) for _ in range(2)))
    z = torch.fft.ifftn(h * drawn, dim=axes, norm="ortho")
    return (clean + level * z.real).hypot(level * z.imag).to(x.dtype)


def kspace_filter(
    shape: Sequence[int],
    *,
    zero_filling: float = 1.0,
    partial_fourier: float = 1.0,
    apodisation: float = 0.0,
    phase_axis: int = 1,
) -> Tensor:
    """H: what share of each spatial frequency is in the image.

    Along each axis, with the frequency f in cycles per voxel and the measured band
    ``b = 1 / (2 zero_filling)``: 0 where ``|f| > b``, and within it a Tukey window, 1 up to
    ``(1 - apodisation) b`` and falling as a cosine from there. Along the phase axis, 0 also
    where ``f < -(2 partial_fourier - 1) b``.

    Returns:
        Float32 of ``shape``, on the CPU, in the order of :func:`torch.fft.fftfreq`.

    Raises:
        ParameterError: as :func:`kspace`.
    """
    import torch

    enlarged = check_number("zero_filling", zero_filling, unit="times the matrix", least=1.0)
    measured = check_number(
        "partial_fourier",
        partial_fourier,
        unit="fraction of the phase-encoding lines",
        least=0.5,
        most=1.0,
        open_below=True,
    )
    taper = check_number("apodisation", apodisation, unit="tapered fraction", most=1.0)
    if check_count("phase_axis", phase_axis, unit="a spatial axis, from 0") >= len(shape):
        raise ParameterError(
            f"phase_axis is {phase_axis}: the axes that are transformed are 0 to {len(shape) - 1}."
        )
    band = 0.5 / enlarged
    h = torch.ones(())
    for axis, size in enumerate(shape):
        f = torch.fft.fftfreq(size, dtype=torch.float64)
        fallen = ((f.abs() / band - (1 - taper)) / taper if taper else f.abs() * 0).clamp(0, 1)
        window = (1 + torch.cos(math.pi * fallen)) / 2
        window[f.abs() > band + 1e-9] = 0
        if axis == phase_axis:
            window[f < -(2 * measured - 1) * band - 1e-9] = 0
        h = h[..., None] * window.float()
    return h
