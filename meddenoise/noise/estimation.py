"""What the noise of a scan is, from the scan alone: its strength, kind and correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.noise.background import Background, noise_background
from meddenoise.noise.correlation import Correlation, background_correlation, tissue_correlation
from meddenoise.noise.curve import NoiseCurve
from meddenoise.noise.finest_band import WIDTH
from meddenoise.noise.moments import check_coils
from meddenoise.noise.mppca import FEWEST_VOLUMES, mppca_sigma
from meddenoise.noise.photon_transfer import PhotonTransfer, photon_transfer
from meddenoise.noise.sigma_map import sigma_map
from meddenoise.noise.tissue import (
    quietest,
    thinned,
    tissue_mask,
    tissue_noise,
    without_magnitude,
)
from meddenoise.volume import Volume

__all__ = ["NoiseEstimate", "estimate"]

# Background and tissue that differ by less have the same noise; the background tells it better.
_SAME = 1.25

# Modalities whose pixels are counted photons; and those whose noise no model here describes.
_COUNTING = ("XA", "RF", "DX", "CR", "MG", "PX", "IO", "NM")
_OTHER = ("US", "IVUS", "OPT", "OCT", "PT")

# So many voxels at or below 0 must be missing before an image is taken for a magnitude.
_MISSED = 50


@dataclass(frozen=True, eq=False)
class NoiseEstimate:
    """The noise of a scan.

    Attributes:
        sigma: standard deviation in image units: of a voxel, or for ``"rician"`` of each of the
            real and imaginary channels, or for ``"poisson_gaussian"`` at the middle intensity.
        model: ``"gaussian"``, ``"rician"``, ``"poisson_gaussian"`` or ``"unknown"``.
        coils: of the magnitude, for ``"rician"``: above 1 the noise is noncentral chi.
        correlation: between a voxel and its neighbours, per axis.
        background: sigma of the noise-only background; ``None`` where there is none.
        tissue: sigma where there is signal.
        mppca: sigma by MP-PCA; ``None`` but for 4-D scans.
        photons: gain and offset, for ``"poisson_gaussian"``.
        map: float32, the spatial shape: local sigma, if asked for.
    """

    sigma: float
    model: str
    coils: int
    correlation: Correlation
    background: float | None
    tissue: float
    mppca: float | None = None
    photons: PhotonTransfer | None = None
    map: NDArray[np.float32] | None = None

    @property
    def correlated(self) -> bool:
        """Whether the noise is correlated along some axis, which Noise2Void would keep."""
        return bool(self.correlation.axes)

    @property
    def advice(self) -> str:
        """What follows for the choice of a method, in a sentence or two."""
        return " ".join([_on_blind_spots(self.correlation), *_on_background(self)])

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the map."""
        nearest = [None if np.isnan(c) else round(c, 3) for c in self.correlation.nearest]
        told: dict[str, Any] = {
            "sigma": self.sigma,
            "model": self.model,
            "correlated": self.correlated,
            "correlation": nearest,
            "reach": list(self.correlation.reach),
            "background_sigma": self.background,
            "tissue_sigma": self.tissue,
        }
        if self.mppca is not None:
            told["mppca_sigma"] = self.mppca
        if self.photons is not None:
            told |= {"gain": self.photons.gain, "variance_at_zero": self.photons.variance}
        return told | {"advice": self.advice}


def estimate(
    scan: Volume | ArrayLike,
    *,
    modality: str = "",
    coils: int = 1,
    with_map: bool = False,
) -> NoiseEstimate:
    """Strength, kind and correlation of a scan's noise.

    Two places tell: the noise-only background (:mod:`meddenoise.noise.background`) and the tissue
    (:mod:`meddenoise.noise.tissue`). The background counts where both agree within 25 %, else the
    tissue: real backgrounds are often processed. Where the noise is correlated, the finest band
    sees little of it, and the tissue's sigma is corrected for that. Of a 4-D scan with at least 6
    volumes, MP-PCA gives sigma, and the first volume all else.

    The model follows from the modality where that is known, and from the values:

    - CT is Gaussian, ultrasound and PET unknown;
    - an MR image without negative values is a magnitude, so Rician;
    - a radiograph whose variance grows by a line with the mean is Poisson-Gaussian;
    - where nobody says, an image is Rician if its background is Rayleigh, or if weak tissue lacks
      the negative values that it would have otherwise; a picture whose variance grows by a line
      is Poisson-Gaussian; the rest is Gaussian.

    Args:
        scan: a volume, or an array ``(X, Y)``, ``(X, Y, Z)`` or ``(C, X, Y, Z)``.
        modality: DICOM's word (``"MR"``), for an array or a volume that does not say.
        coils: of a sum-of-squares magnitude image.
        with_map: make the map of local sigma as well.

    Raises:
        ParameterError: the scan is constant, has no finite voxel, or is too small.
    """
    check_coils(coils)
    volume = scan if isinstance(scan, Volume) else Volume.from_array(np.asarray(scan))
    modality = volume.modality or modality or ("CT" if volume.units == "HU" else "")
    values, valid = _first(volume)
    empty = noise_background(values, mask=valid) if modality in ("", "MR") else None
    mask = valid & tissue_mask(values, units=volume.units)
    if empty is not None and (mask & ~empty.mask).any():
        mask &= ~empty.mask
    seen = _in_tissue(values, mask, modality, empty, bool(values[valid].min() < 0), coils)
    sigma, correlation, magnitude = seen.sigma, seen.correlation, seen.model == "rician"
    if empty is not None and seen.photons is None and _agree(empty.sigma, sigma):
        there = background_correlation(values, empty.mask, magnitude=empty.magnitude)
        if there.near(correlation):
            sigma, correlation = empty.sigma, there
        else:
            empty = None  # weak tissue
    elif empty is not None and not empty.certain:
        empty = None
    repeats = None
    if volume.dims == 3 and volume.channels >= FEWEST_VOLUMES:
        repeats = mppca_sigma(volume.array, mask=mask, magnitude=magnitude, coils=coils)
    local = None
    if with_map:
        local = sigma_map(
            values, mask=valid, spacing=volume.spacing, magnitude=magnitude, coils=coils
        )
    return NoiseEstimate(
        sigma=sigma if repeats is None else repeats,
        model=seen.model,
        coils=coils,
        correlation=correlation,
        background=None if empty is None else empty.sigma,
        tissue=seen.sigma,
        mppca=repeats,
        photons=seen.photons,
        map=local,
    )


@dataclass(frozen=True)
class _Tissue:
    """What the tissue says; ``photons`` only if the model is theirs."""

    sigma: float
    model: str
    correlation: Correlation
    photons: PhotonTransfer | None


def _in_tissue(
    values: NDArray[np.floating],
    mask: NDArray[np.bool_],
    modality: str,
    empty: Background | None,
    signed: bool,
    coils: int,
) -> _Tissue:
    """The noise of the tissue, which is ``mask``; ``signed``: there are negative values."""
    few, where = thinned(values, mask)
    curve, guide = tissue_noise(few, where)
    line = photon_transfer(curve) if len(curve.sigmas) >= 3 else None
    may_count = modality in _COUNTING or (modality == "" and values.ndim == 2)
    photons = line if may_count and line is not None and line.counting else None
    model = _model(modality, values[mask], signed, empty, curve, photons)
    if model == "poisson_gaussian" and photons is not None:
        sigma = photons.sigma(float(np.median(values[mask])))
        correlation = tissue_correlation(few, where)
    else:
        photons = None
        level = without_magnitude(curve, coils) if model == "rician" else curve
        sigma, limit = quietest(level)
        # Where texture adds to the noise, it would be taken for correlated noise.
        correlation = tissue_correlation(few, where & (level(guide) <= limit))
    axes = [axis for axis, n in enumerate(values.shape) if n >= WIDTH]
    return _Tissue(sigma / correlation.response(axes) ** 0.5, model, correlation, photons)


def _first(volume: Volume) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """The first channel with something in it, and its measured voxels."""
    found = False
    for values, valid in zip(volume.array, volume.valid, strict=True):
        found = found or bool(valid.any())
        if valid.any() and values[valid].min() < values[valid].max():
            return values, valid
    raise ParameterError(
        "The image is constant: there is no noise to estimate."
        if found
        else "The image has no finite voxel: there is no noise to estimate."
    )


def _model(
    modality: str,
    tissue: NDArray[np.floating],
    signed: bool,
    empty: Background | None,
    curve: NoiseCurve,
    photons: PhotonTransfer | None,
) -> str:
    """See :func:`estimate`; ``tissue`` are its voxels, ``photons`` the line if there is one."""
    if modality == "CT":
        return "gaussian"
    if modality in _OTHER:
        return "unknown"
    rayleigh = empty is not None and empty.magnitude and empty.certain
    magnitude = modality == "MR" or rayleigh or (modality == "" and _no_negatives(tissue, curve))
    if magnitude and not signed:
        return "rician"
    return "gaussian" if photons is None else "poisson_gaussian"


def _no_negatives(tissue: NDArray[np.floating], curve: NoiseCurve) -> bool:
    """Whether weak signals lack the values at and below 0 that normal noise would give them."""
    from scipy.special import ndtr

    means, sigmas = np.array(curve.intensities), np.array(curve.sigmas)
    if not (sigmas > 0).all():
        return False
    expected = float(ndtr(-means / sigmas).mean()) * tissue.size
    return bool(expected >= _MISSED and np.count_nonzero(tissue <= 0) < expected / 5)


def _agree(one: float, other: float) -> bool:
    return max(one, other) <= _SAME * min(one, other)


def _on_blind_spots(correlation: Correlation) -> str:
    """Whether a method that predicts a voxel from its neighbours may be used."""
    if all(np.isnan(c) for c in correlation.nearest):
        return "The image is too small to tell whether its noise is independent between voxels."
    axes = correlation.axes
    if not axes:
        return "The noise is independent from voxel to voxel: Noise2Void may be used."
    named = " and ".join(
        f"{'xyz'[axis]} ({correlation.nearest[axis]:.2f} with the next voxel)" for axis in axes
    )
    way = "a filter or a supervised network"
    if len(axes) < len(correlation.nearest):
        along = " and ".join("xyz"[axis] for axis in axes)
        way = f"structN2V with a mask along {along}, {way}"
    return (
        f"The noise is correlated along {named}, and Noise2Void would keep it: take {way} instead."
    )


def _on_background(noise: NoiseEstimate) -> list[str]:
    """What is odd about a background that is not as noisy as the tissue."""
    empty = noise.background
    if empty is None or noise.mppca is not None or noise.photons is not None:
        return []
    if _agree(empty, noise.tissue):
        return []
    return [
        f"The background's noise ({empty:.4g}) is not that of the tissue ({noise.tissue:.4g}, "
        "which was taken): it varies in space, or one of them was processed."
    ]
