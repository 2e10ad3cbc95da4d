"""What was taken from a scan, and what is left: each number, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.fields import mean_filled
from meddenoise.evaluation.flatness import flat_noise
from meddenoise.evaluation.measured import Measured, measured, undefined
from meddenoise.evaluation.nps import noise_power_spectrum
from meddenoise.evaluation.repeat import error_by_repeat
from meddenoise.evaluation.residual import residual_structure
from meddenoise.evaluation.resolution import edge_width, find_edges
from meddenoise.evaluation.structure import gradient_correlation
from meddenoise.evaluation.sure import sure_psnr
from meddenoise.evaluation.whiteness import residual_whiteness
from meddenoise.noise import NoiseEstimate
from meddenoise.volume import Volume

__all__ = ["Denoise", "psnr_by_repeat", "psnr_by_sure", "taken_away"]

_BEFORE = (
    "shift", "residual_sigma", "noise_sigma", "residual_ratio", "noise_before", "noise_after",
    "noise_reduction",
)  # fmt: skip
_AFTER = (
    "structure", "residual_at_edges", "residual_nps_peak", "residual_nps_mean",
    "edge_width_before", "edge_width_after",
)  # fmt: skip
Denoise = Callable[[NDArray[np.floating]], NDArray[np.floating]]


def taken_away(
    shown: NDArray[np.floating],
    first: NDArray[np.floating],
    inside: NDArray[np.bool_],
    noisy: Volume,
    noise: NoiseEstimate | None,
    why: str,
) -> dict[str, Measured]:
    """What was taken away, what is left, and how wide edges are.

    Args:
        shown: the denoised image, ``(X, Y)`` or ``(X, Y, Z)``.
        first: the noisy one, the same shape and unit.
        inside: bool, the same shape: where to look.
        noisy: the scan, for its spacing and units.
        noise: of the noisy scan; ``None`` where it cannot be told, for the reason ``why``.
    """
    units, dims = noisy.units, f"{noisy.dims}-D"
    residual = first - shown
    if not inside.any():
        none = undefined("no tissue was found in the noisy scan: give a mask")
        along = (f"residual_correlation_{axis}" for axis in "xyz"[: noisy.dims])
        return dict.fromkeys((*_BEFORE, *along, *_AFTER), none)
    sigma = float(residual[inside].std(dtype=np.float64))
    shift = 0.0 - float(residual[inside].mean(dtype=np.float64))
    found = {
        "shift": Measured(shift, units, "mean of denoised minus noisy"),
        "residual_sigma": Measured(sigma, units, "standard deviation of noisy minus denoised"),
    }
    about = "residual's standard deviation by the noise's that was estimated"
    if noise is None or noise.sigma == 0:
        said = why or "no noise was found in the scan"
        found["noise_sigma"] = undefined(said, unit=units)
        found["residual_ratio"] = undefined(said, convention=about)
    else:
        model = f"{noise.model}, {noise.method}"
        found["noise_sigma"] = Measured(noise.sigma, units, f"estimated from the scan: {model}")
        found["residual_ratio"] = Measured(sigma / noise.sigma, "", about)
    try:
        flat = flat_noise(first, shown, mask=inside)
        about = f"{dims}, standard deviation in the flattest {flat.places} windows of 7 voxels"
        found["noise_before"] = Measured(flat.before, units, about)
        found["noise_after"] = Measured(flat.after, units, about)
        found["noise_reduction"] = measured(lambda: flat.factor, convention="before / after")
        if flat.factor is None:
            found["noise_reduction"] = undefined("no noise at all is left in flat places")
    except ParameterError as fault:
        for name in ("noise_before", "noise_after", "noise_reduction"):
            found[name] = undefined(str(fault))
    found |= _whiteness(residual, inside, noise)
    found["structure"] = measured(
        lambda: gradient_correlation(residual, shown, mask=inside),
        convention=f"{dims}, correlation of |residual| with the denoised image's gradient, both "
        "at sigma 1; 0 for noise alone",
    )
    found["residual_at_edges"] = measured(
        lambda: residual_structure(first, shown, mask=inside).ratio,
        convention=f"{dims}, power of the residual at edges by that in flat places, after a mean "
        "of sigma 1; 1 for noise alone",
    )
    found |= _spectrum(residual, inside, noisy)
    return found | _edges(shown, first, inside, noisy)


def _whiteness(
    residual: NDArray[np.floating], inside: NDArray[np.bool_], noise: NoiseEstimate | None
) -> dict[str, Measured]:
    """Correlation with the next voxel along each axis, and the noise's own beside it."""
    found = {}
    own = None if noise is None else noise.correlation.nearest
    try:
        white = residual_whiteness(residual, mask=inside)
        rows: tuple[tuple[float | None, ...], ...] = white.coefficients
        reason, chance = "too few pairs", f"; chance {white.chance:.3f}"
    except ParameterError as fault:
        rows, reason, chance = ((None,),) * residual.ndim, str(fault), ""
    for axis, row in enumerate(rows):
        expected = ""
        if own is not None and math.isfinite(own[axis]):
            expected = f"; the noise's own {own[axis]:.3f}"
        about = f"of the residual with the next voxel{expected}{chance}"
        found[f"residual_correlation_{'xyz'[axis]}"] = (
            undefined(reason, convention=about) if row[0] is None else Measured(row[0], "", about)
        )
    return found


def _spectrum(
    residual: NDArray[np.floating], inside: NDArray[np.bool_], noisy: Volume
) -> dict[str, Measured]:
    try:
        spectrum = noise_power_spectrum(residual, spacing=noisy.spacing, mask=inside)
    except ParameterError as fault:
        none = undefined(str(fault), unit="1/mm")
        return {"residual_nps_peak": none, "residual_nps_mean": none}
    about = f"2-D, {spectrum.regions} regions of {spectrum.side} voxels, noisy - denoised"
    return {
        "residual_nps_peak": Measured(spectrum.peak, "1/mm", about),
        "residual_nps_mean": Measured(spectrum.mean, "1/mm", about),
    }


def _edges(
    shown: NDArray[np.floating],
    first: NDArray[np.floating],
    inside: NDArray[np.bool_],
    noisy: Volume,
) -> dict[str, Measured]:
    """How wide the same edges are before and after."""
    about = "mean line spread over the denoised image's strongest edges, full width at half maximum"
    finite = np.isfinite(shown) & np.isfinite(first)
    before, after = (mean_filled(a, finite) for a in (first, shown))
    try:
        edges = find_edges(after, spacing=noisy.spacing, mask=inside)
    except ParameterError as fault:
        none = undefined(str(fault), unit="mm", convention=about)
        return {"edge_width_before": none, "edge_width_after": none}

    def width(array: NDArray[np.floating]) -> float:
        return edge_width(array, edges, spacing=noisy.spacing).width

    return {
        name: measured(partial(width, array), unit="mm", convention=about)
        for name, array in (("edge_width_before", before), ("edge_width_after", after))
    }


def psnr_by_repeat(
    shown: NDArray[np.floating],
    first: NDArray[np.floating],
    other: NDArray[np.floating] | None,
    inside: NDArray[np.bool_],
    peak: float,
) -> Measured:
    """PSNR by :func:`meddenoise.evaluation.repeat.error_by_repeat`; ``peak`` is the data range."""
    about = "10 log10(range^2 / (mean((image - repeat)^2) - mean((noisy - repeat)^2) / 2))"
    if other is None:
        return undefined("there is no repeat", unit="dB", convention=about)

    def find() -> float:
        told = error_by_repeat(shown, other, noisy=first, mask=inside)
        return 10 * math.log10(peak**2 / told.mse)

    return measured(find, unit="dB", convention=about)


def psnr_by_sure(
    first: NDArray[np.floating],
    denoise: Denoise | None,
    peak: float,
    noise: NoiseEstimate | None,
    why: str,
    noisy: Volume,
) -> Measured:
    """PSNR by :func:`meddenoise.evaluation.sure.sure_psnr`, where the noise allows it."""
    about = (
        "Stein's unbiased risk estimate of the method on the whole scan, noise white and Gaussian"
    )
    if denoise is None:
        said = "the method is needed: how a result answers to a disturbance cannot be seen on it"
        return undefined(said, unit="dB", convention=about)
    if noise is None:
        return undefined(why, unit="dB", convention=about)
    if noise.correlated:
        said = "the noise is correlated, and SURE would be wrong"
        return undefined(said, unit="dB", convention=about)
    if not noisy.valid_in(0).all():
        said = "the scan has voxels that are not finite or padding"
        return undefined(said, unit="dB", convention=about)
    if noise.model != "gaussian":
        about += f"; the noise is {noise.model}: no more than a hint"
    values = first.astype(noisy.array.dtype)
    sigma = noise.sigma
    return measured(
        lambda: sure_psnr(denoise, values, sigma=sigma, data_range=peak),
        unit="dB",
        convention=about,
    )
