"""Noise that is correlated between receive coils, combined by the root of the sum of squares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from meddenoise.errors import ParameterError
from meddenoise.noise.draws import (
    check_count,
    check_number,
    checked_parameter,
    spatial_axes,
    standard_normal,
    working,
)
from meddenoise.noise.moments import check_coils
from meddenoise.noise.registry import register_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["coil_correlated", "coil_sensitivities"]

# A ring of coils just outside of the image, whose middle is 1 from its border; each coil sees
# about half of the image.
_RING = 1.2
_REACH = 1.0

# Voxels whose coils are drawn together.
_AT_ONCE = 2**20


@register_noise("coil_correlated", levels=("sigma",), deviation="sigma")
def coil_correlated(
    x: Tensor,
    sigma: float | Tensor,
    *,
    coils: int = 8,
    correlation: float = 0.2,
    covariance: Any = None,
    sensitivities: Any = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """MRI, the root of the sum of squares over coils whose noise is correlated.

    ``M = sqrt(sum_k |A s_k + sigma (L w)_k|^2)`` with ``L L^H = Psi`` and w white complex
    noise, N(0, 1) in each channel. So

        E[M^2]   = A^2 |s|^2 + 2 sigma^2 tr(Psi)
        var(M^2) = 4 sigma^2 A^2 s^H Psi s + 4 sigma^4 tr(Psi^2)

    The result is no longer noncentral chi, and its noise depends on the place
    (Aja-Fernandez and Tristan-Vega, Magn Reson Med 67:580, 2012).

    Args:
        x: the noise-free magnitude A, ``(X, Y)``, ``(X, Y, Z)`` or with ``(B, C)`` before;
            floating point; not modified.
        sigma: standard deviation of the noise in the real and the imaginary channel of a coil
            with Psi_kk = 1, in image units, at least 0.
        coils: n, at least 1.
        correlation: between any two coils: Psi is 1 on its diagonal and this elsewhere; at
            least 0 and below 1.
        covariance: Psi in units of sigma^2, ``(n, n)``, Hermitian and positive definite, as
            nested lists or a complex array; instead of ``coils`` and ``correlation``.
        sensitivities: s, complex ``(n, ...)`` where ``...`` broadcasts to the image; by default
            :func:`coil_sensitivities`, whose squares add up to 1.
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
    if covariance is None:
        psi = _uniform_covariance(coils, correlation)
    else:
        psi = _as_complex("covariance", covariance, "coils x coils, in units of sigma^2")
    factor = _cholesky(psi)
    axes = spatial_axes(clean)
    if sensitivities is None:
        seen = coil_sensitivities([clean.shape[axis] for axis in axes], len(psi))
    else:
        seen = _as_complex("sensitivities", sensitivities, "coils x image")
        _check_fit(seen, len(psi), clean)
    kind = torch.promote_types(clean.dtype, torch.complex64)
    seen, factor = (t.to(device=clean.device, dtype=kind) for t in (seen, factor))
    # The coils come before the batch: a one for each axis that the profiles do not have.
    seen = seen.reshape(len(psi), *[1] * (clean.ndim + 1 - seen.ndim), *seen.shape[1:])
    combined = torch.empty_like(clean)
    # All coils of the whole image would fill the memory of most machines.
    first, size = axes[0], clean.shape[axes[0]]
    thickness = max(1, _AT_ONCE * size // clean.numel())
    for start in range(0, size, thickness):
        a, s, strength = (
            _slab(part, first - clean.ndim, start, thickness) for part in (clean, seen, level)
        )
        like = a.expand(len(psi), *a.shape)
        w = torch.complex(*(standard_normal(like, generator) for _ in range(2)))
        noise = strength * torch.einsum("jk,k...->j...", factor, w)
        each = (a * s + noise).abs()
        # In units of the strongest coil: squares of what is very large or small are no numbers.
        unit = each.amax(0).clamp(min=torch.finfo(each.dtype).tiny)
        total = (each / unit).square().sum(0).sqrt() * unit
        _slab(combined, first - clean.ndim, start, thickness).copy_(total)
    return combined.to(x.dtype)


def coil_sensitivities(shape: Sequence[int], coils: int) -> Tensor:
    """Smooth coil profiles: Gaussian bells on a ring around the image, squares adding up to 1.

    Args:
        shape: of the image, 2 or 3 axes; the ring lies in the first two.
        coils: how many, at least 1.

    Returns:
        ``(coils, X, Y)`` or ``(coils, X, Y, 1)`` complex128, on the CPU; each coil's phase is its
        angle on the ring.
    """
    import torch

    x, y = torch.meshgrid(
        *(torch.linspace(-1, 1, n, dtype=torch.float64) for n in shape[:2]), indexing="ij"
    )
    angles = [2 * math.pi * k / coils for k in range(coils)]
    bells = torch.stack(
        [
            (-((x - _RING * math.cos(a)) ** 2 + (y - _RING * math.sin(a)) ** 2) / (2 * _REACH**2))
            for a in angles
        ]
    ).exp()
    phases = torch.tensor([complex(math.cos(a), math.sin(a)) for a in angles]).view(-1, 1, 1)
    profiles = bells / bells.square().sum(0).sqrt() * phases
    return profiles.reshape(*profiles.shape, *[1] * (len(shape) - 2))


def _uniform_covariance(coils: int, correlation: float) -> Tensor:
    """1 on the diagonal, ``correlation`` elsewhere."""
    import torch

    count = check_coils(check_count("coils", coils, unit="receive coils", least=1))
    shared = check_number("correlation", correlation, unit="between two coils, below 1", most=1.0)
    if shared == 1:
        raise ParameterError("correlation is 1: it must be at least 0 and below 1 (of two coils).")
    psi = torch.full((count, count), shared, dtype=torch.complex128)
    return psi.fill_diagonal_(1.0)


def _as_complex(name: str, value: Any, unit: str) -> Tensor:
    import torch

    try:
        return torch.as_tensor(value).cpu().to(torch.complex128)
    except (TypeError, ValueError, RuntimeError):
        raise ParameterError(f"{name} must be an array of complex numbers ({unit}).") from None


def _slab(part: Any, axis: int, start: int, thickness: int) -> Any:
    """A part of the image, or of what broadcasts to it, along an axis counted from the last."""
    if not hasattr(part, "ndim") or part.ndim < -axis or part.shape[axis] == 1:
        return part
    return part.narrow(axis, start, min(thickness, part.shape[axis] - start))


def _cholesky(psi: Tensor) -> Tensor:
    """L with ``L L^H`` = a covariance.

    Raises:
        ParameterError: it is none.
    """
    import torch

    if psi.ndim != 2 or psi.shape[0] != psi.shape[1] or not len(psi):
        raise ParameterError(
            f"covariance has shape {tuple(psi.shape)}: it must be (coils, coils), in units of "
            "sigma^2."
        )
    if not bool(torch.isfinite(psi).all()) or not torch.allclose(psi, psi.mH):
        raise ParameterError(
            "covariance is not Hermitian: entry (j, k) must be finite and the complex conjugate "
            "of (k, j), in units of sigma^2."
        )
    values = torch.linalg.eigvalsh(psi)
    if float(values[0]) <= 1e-12 * float(values[-1]):
        raise ParameterError(
            f"covariance is not positive definite: its smallest eigenvalue is "
            f"{float(values[0]):.3g}, and all must be above 0 (in units of sigma^2)."
        )
    return torch.linalg.cholesky(psi)


def _check_fit(sensitivities: Tensor, coils: int, x: Tensor) -> None:
    import torch

    if sensitivities.ndim and len(sensitivities) == coils:
        try:
            if torch.broadcast_shapes(sensitivities.shape[1:], x.shape) == x.shape:
                return
        except RuntimeError:
            pass
    raise ParameterError(
        f"sensitivities has shape {tuple(sensitivities.shape)}: for {coils} coils and an image of "
        f"{tuple(x.shape)} it must be ({coils}, ...) with ... broadcasting to the image."
    )
