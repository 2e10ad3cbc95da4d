"""All metrics that want a reference, each with its value or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.evaluation.bias import RegionBias, bias_by_region, checked_labels
from meddenoise.evaluation.contrast import cnr, contrast_recovery
from meddenoise.evaluation.flatness import flat_noise
from meddenoise.evaluation.gmsd import gmsd
from meddenoise.evaluation.hfen import hfen
from meddenoise.evaluation.measured import Measured, measured, undefined
from meddenoise.evaluation.ms_ssim import ms_ssim
from meddenoise.evaluation.nps import noise_power_spectrum
from meddenoise.evaluation.perceptual import lpips
from meddenoise.evaluation.resolution import Edges, edge_width, find_edges
from meddenoise.evaluation.structure import gradient_correlation
from meddenoise.evaluation.vif import vif

__all__ = ["Region", "referenced", "regions"]


@dataclass(frozen=True)
class Region:
    """One label of a map.

    Attributes:
        bias: the signed error there.
        background: the label that contrasts are against, the largest region; ``None`` for itself.
        cnr: of the image, against the background.
        contrast_recovery: of the image, against the background.
    """

    bias: RegionBias
    background: int | None
    cnr: Measured
    contrast_recovery: Measured

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self.bias) | {
            "background": self.background,
            "cnr": self.cnr.as_dict(),
            "contrast_recovery": self.contrast_recovery.as_dict(),
        }


@dataclass(frozen=True, eq=False)
class _Pair:
    """A reference and an image, finite where they count."""

    truth: NDArray[np.float64]
    judged: NDArray[np.float64]
    mask: NDArray[np.bool_]
    spacing: tuple[float, ...]

    @cached_property
    def edges(self) -> Edges:
        return find_edges(self._whole(self.truth), spacing=self.spacing, mask=self.mask)

    def width(self, which: str) -> float:
        image = self._whole(getattr(self, which))
        return edge_width(image, self.edges, spacing=self.spacing).width

    def _whole(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(np.isfinite(values), values, np.nanmean(self.truth))


def referenced(
    reference: ArrayLike,
    image: ArrayLike,
    *,
    mask: NDArray[np.bool_],
    data_range: float,
    low: float,
    spacing: Sequence[float],
    units: str = "",
) -> dict[str, Measured]:
    """Every metric of one image against its reference beyond PSNR, SSIM, RMSE, MAE and bias.

    Args:
        reference: the truth, ``(X, Y)`` or ``(X, Y, Z)``.
        image: what is judged, the same shape and unit.
        mask: bool, the same shape; finite in both images.
        data_range: the peak, in image units.
        low: where that range begins (for LPIPS).
        spacing: voxel size in mm per axis.
        units: of the voxels, for what is printed.
    """
    truth, judged = (np.asarray(a, dtype=np.float64) for a in (reference, image))
    pair = _Pair(truth, judged, mask, tuple(spacing))
    ranged: dict[str, Any] = {"data_range": data_range, "mask": mask}
    dims = f"{truth.ndim}-D"
    found: dict[str, Measured] = {}

    def add(name: str, find: Callable[[], float | None], convention: str, unit: str = "") -> None:
        found[name] = measured(find, unit=unit, convention=convention)

    try:
        scales = ms_ssim(truth, judged, **ranged)
        found["ms_ssim"] = Measured(scales.value, "", scales.convention)
    except ParameterError as fault:
        found["ms_ssim"] = undefined(str(fault), convention="up to 5 scales")
    add(
        "hfen",
        lambda: hfen(truth, judged, mask=mask),
        f"{dims} without axes of fewer than 15 voxels, LoG 15 taps, sigma 1.5",
    )
    add("gmsd", lambda: gmsd(truth, judged, **ranged), f"{dims}, Prewitt, halved, c = 170 / 255^2")
    slices = "2-D" if truth.ndim == 2 else "2-D slices across the coarsest axis"
    add(
        "vif",
        lambda: vif(truth, judged, spacing=spacing, **ranged),
        f"{slices}, pixel domain, 4 scales",
    )
    add(
        "lpips",
        lambda: lpips(truth, judged, low=low, spacing=spacing, **ranged),
        f"{slices}, AlexNet 0.1, clipped to the data range",
    )
    try:
        spectrum = noise_power_spectrum(judged - truth, spacing=spacing, mask=mask)
        about = f"{slices}, {spectrum.regions} regions of {spectrum.side} voxels, image - reference"
        found["error_nps_sigma"] = Measured(spectrum.variance**0.5, units, about)
        found["error_nps_peak"] = Measured(spectrum.peak, "1/mm", about)
        found["error_nps_mean"] = Measured(spectrum.mean, "1/mm", about)
    except ParameterError as fault:
        for name, unit in (("sigma", units), ("peak", "1/mm"), ("mean", "1/mm")):
            found[f"error_nps_{name}"] = undefined(str(fault), unit=unit)
    add(
        "noise_left",
        lambda: flat_noise(judged - truth, judged - truth, guide=truth, mask=mask).after,
        f"{dims}, image - reference where the reference is flattest, windows of 7 voxels",
        units,
    )
    add(
        "error_structure",
        lambda: gradient_correlation(judged - truth, truth, mask=mask),
        f"{dims}, correlation of |error| with the reference's gradient, both at sigma 1",
    )
    about = "mean line spread over the reference's strongest edges, full width at half maximum"
    add("edge_width_reference", lambda: pair.width("truth"), f"{slices}, {about}", "mm")
    add("edge_width", lambda: pair.width("judged"), f"{slices}, {about}", "mm")
    return found


def regions(reference: ArrayLike, image: ArrayLike, labels: ArrayLike) -> tuple[Region, ...]:
    """Signed error, CNR and contrast recovery of every label of a map.

    Args:
        reference: the truth, any shape.
        image: what is judged, the same shape and unit.
        labels: whole numbers, the same shape; 0 is no region.

    Raises:
        ParameterError: as :func:`meddenoise.evaluation.bias_by_region`.
    """
    truth, judged = np.asarray(reference), np.asarray(image)
    numbers = checked_labels(labels, truth.shape)
    found = bias_by_region(truth, judged, numbers)
    largest = max(found, key=lambda region: region.voxels).label
    told = []
    for region in found:
        if region.label == largest:
            none = undefined("it is the background itself")
            told.append(Region(region, None, none, none))
            continue
        places = (numbers == region.label, numbers == largest)
        about = f"against label {largest}"
        told.append(
            Region(
                region,
                largest,
                measured(partial(cnr, judged, *places), convention=about),
                measured(partial(contrast_recovery, truth, judged, *places), convention=about),
            )
        )
    return tuple(told)
