"""Puts back from the residual what is stronger than the noise."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.inference.planes import plane_ranges
from meddenoise.inference.rolling import RollingMean
from meddenoise.noise.curve import NoiseCurve, estimate_curve

__all__ = ["curve_of_samples", "residual_curve", "restore", "restored_planes", "sampled_planes"]

# Noisy planes (X, Y, n), the denoised ones, and which voxels were measured (None: all).
Part = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.bool_] | None]

# Voxels whose mean says how strong the residual is there, and how far it is off in the mean.
_LOCAL = 150
_BROAD = 3000

# A residual of nothing but noise is up to a tenth stronger than expected by chance alone.
_MARGIN = 1.1

# Voxels and planes that the noise of a large scan is estimated from.
_ENOUGH, _SLAB = 3_000_000, 16
_STEPS = 8192


def restore(
    noisy: NDArray[np.floating],
    denoised: NDArray[np.floating],
    valid: NDArray[np.bool_] | None = None,
) -> NDArray[np.floating]:
    """A denoised image with the structure that its residual still holds.

    A network trained with blind spots guesses each voxel from its neighbours. Where they do not
    tell (an edge of bone, a vessel one voxel wide) the guess is worse than the voxel itself.
    There the residual r = noisy - denoised is stronger than the noise, and so it is seen:

    1. its mean over some 3,000 voxels is added back: noise has none, a shift of HU has;
    2. of the rest, the share ``max(0, 1 - 1.1 sigma^2 / <r^2>)`` is added back, with ``<r^2>``
       over some 150 voxels and sigma the noise at that intensity, estimated from the image.

    The second is the minimum mean square error estimate from local statistics (Lee, IEEE PAMI
    2:165, 1980, equation 8) applied to the residual, and what combining a blind-spot guess with
    the voxel's own value comes to (Laine et al., NeurIPS 2019, section 3). Noise stays where
    the guess was not trusted. Noise that is correlated between voxels is underestimated, and
    more of it put back.

    Args:
        noisy: ``(X, Y)`` or ``(X, Y, Z)``, image units; finite.
        denoised: the same shape and unit.
        valid: bool, which voxels were measured; the others say nothing.

    Returns:
        The same shape and dtype as ``denoised``.

    Raises:
        ParameterError: the image is too small to estimate its noise.
    """
    inside = None if valid is None or bool(valid.all()) else valid
    shape = (*noisy.shape, 1)[:3]
    noisy_, clean_ = noisy.reshape(shape), denoised.reshape(shape)
    inside_ = None if inside is None else inside.reshape(shape)
    curve = residual_curve(noisy_, clean_, inside_)
    out = np.empty(shape[::-1], denoised.dtype).transpose(2, 1, 0)

    def parts() -> Iterator[Part]:
        for first, last in plane_ranges(shape):
            part = (slice(None), slice(None), slice(first, last))
            yield noisy_[part], clean_[part], None if inside_ is None else inside_[part]

    done = 0
    for part in restored_planes(parts(), shape, curve):
        out[..., done : done + part.shape[2]] = part
        done += part.shape[2]
    return out.reshape(noisy.shape) if noisy.ndim == 3 else out[..., 0]


def sampled_planes(shape: Sequence[int]) -> list[tuple[slice, slice, slice]]:
    """Where ``(X, Y, Z)`` is looked at for its noise: all of it, or evenly spaced slabs.

    Of planes with very many voxels it is their middle rows. A few million voxels give the noise of
    each of 40 intensities to one or two percent.
    """
    x, y, z = shape
    rows = y if x * y * _SLAB <= 2 * _ENOUGH else max(_ENOUGH // (x * _SLAB), 1)
    count = max(1, _ENOUGH // (x * rows * _SLAB))
    middle = slice((y - rows) // 2, (y - rows) // 2 + rows)
    if count * _SLAB >= z:
        return [(slice(None), middle, slice(None))]
    starts = [int(z / count * (k + 0.5) - _SLAB / 2) for k in range(count)]
    return [(slice(None), middle, slice(s, s + _SLAB)) for s in starts]


def residual_curve(
    noisy: NDArray[np.floating], clean: NDArray[np.floating], inside: NDArray[np.bool_] | None
) -> NoiseCurve:
    """The noise of ``(X, Y, Z)`` at each intensity, from :func:`sampled_planes` of it.

    Raises:
        ParameterError: the image is too small.
    """
    places = sampled_planes(noisy.shape)
    known = [np.ones(noisy[p].shape, bool) if inside is None else inside[p].copy() for p in places]
    return curve_of_samples([noisy[p] for p in places], [clean[p] for p in places], known)


def curve_of_samples(
    noisy: Sequence[NDArray[np.floating]],
    clean: Sequence[NDArray[np.floating]],
    known: Sequence[NDArray[np.bool_]],
) -> NoiseCurve:
    """:func:`residual_curve` of slabs that were taken out already; ``known`` is changed."""
    for mask in known[:-1]:
        mask[..., -1] = False  # no wavelet reaches across a seam
    flat = noisy[0].shape[2] == 1
    one, other, mask = (np.concatenate(slabs, axis=2) for slabs in (noisy, clean, known))
    if flat:
        one, other, mask = one[..., 0], other[..., 0], mask[..., 0]
    unit = _power_of_two(float(np.abs(other, where=mask, out=np.zeros_like(other)).max()))
    curve = estimate_curve(one / unit, other / unit, mask=None if mask.all() else mask)
    return _in_units(curve, 1 / unit)


def restored_planes(
    parts: Iterable[Part], shape: Sequence[int], curve: NoiseCurve
) -> Iterator[NDArray[np.floating]]:
    """:func:`restore` of a scan that comes plane by plane, in memory of some 90 planes.

    Args:
        parts: noisy, denoised and valid (or ``None``) planes ``(X, Y, n)``, from first to last.
        shape: ``(X, Y, Z)`` of the whole.
        curve: from :func:`residual_curve`.

    Yields:
        The result's planes ``(X, Y, n)``, of the denoised ones' type.
    """
    broad, local = _width(_BROAD, shape), _width(_LOCAL, shape)
    unit = _power_of_two(max(map(abs, (*curve.intensities, *curve.sigmas))))
    noise = _Table(_in_units(curve, unit))
    with ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool:
        shift = RollingMean(broad, shape[2], pool)
        strength = RollingMean(local, shape[2], pool)
        waiting: deque[tuple[NDArray, NDArray[np.float32], NDArray[np.float32], Any]] = deque()
        shifted: deque[tuple[NDArray, NDArray[np.float32], NDArray[np.float32], NDArray]] = deque()

        def finished(squares: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.floating]]:
            for mean_square in squares:
                given, clean, residual, move = shifted.popleft()
                expected = _MARGIN * noise(clean) ** 2
                # No residual at all: nothing to put back.
                kept = np.divide(
                    expected, mean_square, out=np.ones_like(expected), where=mean_square > 0
                )
                share = np.clip(1 - kept, 0, 1, out=kept)
                back = (clean + move + share * residual).astype(given.dtype, copy=False)
                back *= back.dtype.type(unit)
                yield back

        def moved(shifts: Iterable[NDArray[np.float32]]) -> Iterator[tuple[NDArray, Any]]:
            for move in shifts:
                given, clean, residual, inside = waiting.popleft()
                residual -= move
                if inside is not None:
                    residual[~inside] = 0  # it has no strength where nothing was measured
                shifted.append((given, clean, residual, move))
                yield residual**2, inside

        for noisy, given, inside in parts:
            planes = []
            for k in range(noisy.shape[2]):
                clean = np.ascontiguousarray(given[..., k].T / unit, np.float32)
                residual = (noisy[..., k].T / unit).astype(np.float32) - clean
                mask = None if inside is None else np.ascontiguousarray(inside[..., k].T)
                if mask is not None:
                    residual[~mask] = 0
                waiting.append((given[..., k].T, clean, residual, mask))
                planes.append((residual.copy(), mask))
            yield from _stacked(finished(strength.feed(moved(shift.feed(planes)))))
        yield from _stacked(finished(strength.feed(moved(shift.end()))))
        yield from _stacked(finished(strength.end()))


def _stacked(planes: Iterable[NDArray[np.floating]]) -> Iterator[NDArray[np.floating]]:
    made = [*planes]
    if made:
        yield np.stack(made).transpose(2, 1, 0)


def _power_of_two(size: float) -> float:
    """A unit of that size to compute in: squares of voxels of 1e32, or of 1e-32, are no float32.

    Dividing by it rounds nothing.
    """
    return 2.0 ** (math.frexp(size)[1] - 1) if 0 < size < math.inf else 1.0


def _in_units(curve: NoiseCurve, unit: float) -> NoiseCurve:
    """The curve of an image that is divided by a unit."""
    intensities = tuple(place / unit for place in curve.intensities)
    return replace(
        curve, intensities=intensities, sigmas=tuple(sigma / unit for sigma in curve.sigmas)
    )


class _Table:
    """A noise curve looked up in even steps: many times as fast as interpolating at each voxel."""

    def __init__(self, curve: NoiseCurve) -> None:
        low, high = curve.intensities[0], curve.intensities[-1]
        self._low, self._per_step = low, (_STEPS - 1) / (high - low) if high > low else 0.0
        self._sigmas = curve(np.linspace(low, high, _STEPS))

    def __call__(self, intensity: NDArray[np.float32]) -> NDArray[np.float32]:
        place = (intensity - np.float32(self._low)) * np.float32(self._per_step)
        step = np.clip(np.nan_to_num(place), 0, _STEPS - 1).astype(np.int32)
        return np.asarray(self._sigmas[step], np.float32)


def _width(voxels: int, shape: Sequence[int]) -> float:
    """The Gaussian's standard deviation: its mean over n axes is one of (2 sqrt(pi) s)^n."""
    axes = sum(n > 1 for n in shape)
    return float(voxels ** (1 / max(axes, 1)) / (2 * math.sqrt(math.pi)))
