"""What can be told of a denoised scan without its truth: from the noisy scan, or a repeat."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.compare import default_data_range
from meddenoise.evaluation.flatness import flat_noise
from meddenoise.evaluation.measured import Measured, measured, undefined
from meddenoise.evaluation.metrics import check_data_range
from meddenoise.evaluation.nps import noise_power_spectrum
from meddenoise.evaluation.repeat import error_by_repeat
from meddenoise.evaluation.residual import LIMIT, residual_structure
from meddenoise.evaluation.resolution import edge_width, find_edges
from meddenoise.evaluation.structure import gradient_correlation
from meddenoise.evaluation.sure import sure_psnr
from meddenoise.evaluation.whiteness import residual_whiteness
from meddenoise.noise import NoiseEstimate, estimate
from meddenoise.noise.tissue import tissue_mask
from meddenoise.volume import Volume

__all__ = ["Unreferenced", "without_reference"]

# Of the estimated noise; it is told to some percent only.
_MORE, _LESS = 1.15, 0.7
_WIDER = 1.1
_SHIFTED = 0.1

Denoise = Callable[[NDArray[np.floating]], NDArray[np.floating]]


@dataclass(frozen=True)
class Unreferenced:
    """What :func:`without_reference` found, with all that is needed to repeat it.

    Attributes:
        values: by name, each with unit, convention, and the reason where there is none.
        noise: of the noisy scan; ``None`` where it cannot be estimated.
        data_range: the peak of the PSNRs, in ``units``.
        data_range_source: where it came from, in words.
        dimensions: 2 or 3.
        voxels: how many count.
        mask_source: what they are, in words.
        mask_fraction: of the image.
        units: of the scan, ``""`` if unknown.
    """

    values: Mapping[str, Measured]
    noise: NoiseEstimate | None
    data_range: float
    data_range_source: str
    dimensions: int
    voxels: int
    mask_source: str
    mask_fraction: float
    units: str

    def conventions(self) -> tuple[str, ...]:
        """What the numbers mean: range, mask, dimensionality; a sentence each."""
        unit = f" {self.units}" if self.units else ""
        return (
            f"Data range {self.data_range:.6g}{unit}: {self.data_range_source}.",
            f"{self.voxels:,} voxels looked at, in {self.dimensions}-D: {self.mask_source}.",
        )

    def findings(self) -> tuple[str, ...]:
        """What stands out in the numbers, a sentence each; what they cannot prove, if nothing."""

        def of(name: str) -> float | None:
            one = self.values.get(name)
            return None if one is None else one.value

        said = []
        at_edges, ratio, shift = of("residual_at_edges"), of("residual_ratio"), of("shift")
        if at_edges is not None and at_edges > LIMIT:
            said.append(
                f"At edges what was taken away is {at_edges:.1f} times as strong as elsewhere, "
                "where noise alone would be alike: anatomy went with it. Look at the residual."
            )
        if ratio is not None and ratio > _MORE:
            said.append(
                f"{ratio:.2f} times as much was taken away as the scan's noise is estimated to be."
            )
        if ratio is not None and ratio < _LESS:
            said.append(f"Only {ratio:.2f} times the scan's estimated noise was taken away.")
        before, after = of("edge_width_before"), of("edge_width_after")
        if before and after and after > _WIDER * before:
            said.append(f"Edges are {100 * (after / before - 1):.0f} % wider than before.")
        if shift is not None and self.noise is not None and self.noise.sigma:
            away = shift / self.noise.sigma
            if abs(away) > _SHIFTED:
                said.append(f"The mean moved by {away:+.2f} of the noise's sigma.")
        if not said:
            return (
                "Nothing of the anatomy is seen in what was taken away. That does not prove that "
                "all of it is there: see --lesions.",
            )
        return tuple(said)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON."""
        return {
            "values": {name: one.as_dict() for name, one in self.values.items()},
            "noise": None if self.noise is None else self.noise.as_dict(),
            "data_range": self.data_range,
            "data_range_source": self.data_range_source,
            "window": None,
            "dimensions": self.dimensions,
            "voxels": self.voxels,
            "mask": self.mask_source,
            "mask_fraction": self.mask_fraction,
            "units": self.units,
            "findings": list(self.findings()),
        }


def without_reference(
    image: Volume,
    noisy: Volume,
    *,
    repeat: Volume | None = None,
    denoise: Denoise | None = None,
    mask: Volume | NDArray | None = None,
    data_range: float | None = None,
) -> Unreferenced:
    """Judges a result by the noisy scan that it was made of.

    What was taken away should be as strong as the scan's noise (``residual_ratio`` near 1), as
    correlated as it (``residual_correlation``), without a mean (``shift``), and know nothing of the
    anatomy (``structure`` near 0, ``residual_at_edges`` near 1); edges should be no wider after
    than before. None of that proves a result right: what is wrong with these is wrong.

    Args:
        image: the denoised scan; the first channel is looked at.
        noisy: on the same grid.
        repeat: a second acquisition on the same grid: gives a PSNR.
        denoise: the method that made the result, an array to an array: gives a PSNR by SURE.
        mask: where to look; the tissue of the noisy scan by default.
        data_range: the peak in the scan's units; by default the 99.9th minus the 0.1th percentile
            of the noisy scan.

    Raises:
        GeometryError: grids that differ.
        ParameterError: units or modalities that differ, an empty mask, or a constant scan.
    """
    shown, first = _first(image), _first(noisy)
    valid = image.valid[0] & noisy.valid[0]
    other = None
    if repeat is not None:
        other, valid = _first(repeat), valid & repeat.valid[0]
    inside, source = _inside(mask, noisy, first, valid)
    if data_range is None:
        peak = default_data_range(noisy)
        told = "99.9th minus 0.1th percentile of the noisy scan"
    else:
        peak, told = check_data_range(data_range), "given"
    noise, why = _noise(noisy)
    found = _residual(shown, first, inside, noisy, noise, why)
    found |= _edges(shown, first, inside, noisy)
    found["psnr_repeat"] = _by_repeat(shown, first, other, inside, peak)
    found["psnr_sure"] = _by_sure(first, denoise, peak, noise, why, noisy)
    return Unreferenced(
        found,
        noise,
        peak,
        told,
        noisy.dims,
        int(inside.sum()),
        source,
        float(inside.mean()),
        noisy.units,
    )


def _first(volume: Volume) -> NDArray[np.float64]:
    return volume.array[0].astype(np.float64)


def _inside(
    mask: Volume | NDArray | None,
    noisy: Volume,
    first: NDArray[np.float64],
    valid: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], str]:
    """The voxels to look at, and what they are."""
    where = "" if noisy.channels == 1 else f" of the first of {noisy.channels} channels"
    if mask is None:
        inside = tissue_mask(np.where(valid, first, np.nan), units=noisy.units) & valid
        return inside, f"the tissue of the noisy scan{where}"
    values = mask.array[0] if isinstance(mask, Volume) else np.asarray(mask)
    if values.ndim == first.ndim + 1:
        values = values[0]
    if values.shape != first.shape:
        raise ParameterError(
            f"The mask has shape {values.shape}, the image {first.shape}: they must be the same."
        )
    inside = np.isfinite(values) & (values != 0) & valid
    if not inside.any():
        raise ParameterError("The mask is empty: there is no voxel to look at.")
    return inside, f"the mask{where}"


def _noise(noisy: Volume) -> tuple[NoiseEstimate | None, str]:
    try:
        return estimate(noisy), ""
    except ParameterError as fault:
        return None, str(fault)


def _residual(
    shown: NDArray[np.float64],
    first: NDArray[np.float64],
    inside: NDArray[np.bool_],
    noisy: Volume,
    noise: NoiseEstimate | None,
    why: str,
) -> dict[str, Measured]:
    """What was taken away, and what is left."""
    units, dims = noisy.units, f"{noisy.dims}-D"
    residual = first - shown
    if not inside.any():
        none = undefined("no tissue was found in the noisy scan: give a mask")
        return dict.fromkeys(("shift", "residual_sigma", "residual_ratio"), none)
    sigma = float(residual[inside].std())
    found = {
        "shift": Measured(
            float((shown - first)[inside].mean()), units, "mean of denoised minus noisy"
        ),
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
    return found


def _whiteness(
    residual: NDArray[np.float64], inside: NDArray[np.bool_], noise: NoiseEstimate | None
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
    residual: NDArray[np.float64], inside: NDArray[np.bool_], noisy: Volume
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
    shown: NDArray[np.float64],
    first: NDArray[np.float64],
    inside: NDArray[np.bool_],
    noisy: Volume,
) -> dict[str, Measured]:
    """How wide the same edges are before and after."""
    about = "mean line spread over the denoised image's strongest edges, full width at half maximum"
    finite = np.isfinite(shown) & np.isfinite(first)
    if not finite.any():
        return {}
    before, after = (np.where(finite, a, a[finite].mean()) for a in (first, shown))
    try:
        edges = find_edges(after, spacing=noisy.spacing, mask=inside)
    except ParameterError as fault:
        none = undefined(str(fault), unit="mm", convention=about)
        return {"edge_width_before": none, "edge_width_after": none}

    def width(array: NDArray[np.float64]) -> float:
        return edge_width(array, edges, spacing=noisy.spacing).width

    return {
        name: measured(partial(width, array), unit="mm", convention=about)
        for name, array in (("edge_width_before", before), ("edge_width_after", after))
    }


def _by_repeat(
    shown: NDArray[np.float64],
    first: NDArray[np.float64],
    other: NDArray[np.float64] | None,
    inside: NDArray[np.bool_],
    peak: float,
) -> Measured:
    about = "10 log10(range^2 / (mean((image - repeat)^2) - mean((noisy - repeat)^2) / 2))"
    if other is None:
        return undefined("there is no repeat", unit="dB", convention=about)

    def find() -> float:
        told = error_by_repeat(shown, other, noisy=first, mask=inside)
        return 10 * math.log10(peak**2 / told.mse)

    return measured(find, unit="dB", convention=about)


def _by_sure(
    first: NDArray[np.float64],
    denoise: Denoise | None,
    peak: float,
    noise: NoiseEstimate | None,
    why: str,
    noisy: Volume,
) -> Measured:
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
    if not noisy.valid[0].all():
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
