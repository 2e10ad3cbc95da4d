"""What the noise of a scan is, from the scan alone: its strength, kind and correlation."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meddenoise.errors import ParameterError
from meddenoise.noise.advice import advise
from meddenoise.noise.background import Background, agree, noise_background
from meddenoise.noise.correlation import Correlation, background_correlation, tissue_correlation
from meddenoise.noise.curve import Guided, NoiseCurve
from meddenoise.noise.finest_band import SPLINE, WIDTH
from meddenoise.noise.level import reference_intensity
from meddenoise.noise.moments import check_coils
from meddenoise.noise.mppca import FEWEST_VOLUMES, mppca_sigma
from meddenoise.noise.photon_transfer import PhotonTransfer, photon_transfer
from meddenoise.noise.sigma_map import sigma_map
from meddenoise.noise.tissue import (
    ENOUGH,
    quietest,
    smoothed,
    thinned,
    tissue_mask,
    without_magnitude,
)
from meddenoise.noise.wavelet_mad import estimate_sigma
from meddenoise.volume import Volume

__all__ = ["NoiseEstimate", "estimate"]

# Modalities whose pixels are counted photons; and those whose noise no model here describes.
_COUNTING = ("XA", "RF", "DX", "CR", "MG", "PX", "IO", "NM")
_OTHER = ("US", "IVUS", "OPT", "OCT", "PT")

# Squares of larger numbers leave single precision.
_LARGEST = 1e18

# The flattest of so few voxels say sigma to a few percent only: all are asked, if anatomy adds no
# more to them.
_FEW, _CLOSE = 100_000, 1.08

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
        map: float32, the spatial shape: local sigma, if asked for and the image is large enough.
        no_map: why there is none, though it was asked for; else ``""``.
        reference: the 99.9th percentile (of all volumes of a 4-D scan), which percentages of noise
            are of; not a number for HU, whose zero is no lack of signal.
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
    no_map: str = ""
    reference: float = float("nan")

    @property
    def percent(self) -> float | None:
        """Sigma in percent of the 99.9th percentile, as :func:`meddenoise.simulate` takes it."""
        return 100 * self.sigma / self.reference if self.reference > 0 else None

    @property
    def method(self) -> str:
        """What told sigma."""
        if self.mppca is not None:
            return "MP-PCA over the volumes"
        if self.photons is not None:
            return "photon transfer"
        return "background" if self.sigma == self.background else "wavelet MAD in tissue"

    @property
    def correlated(self) -> bool:
        """Whether the noise is correlated along some axis, which Noise2Void would keep."""
        return bool(self.correlation.axes)

    @property
    def advice(self) -> str:
        """What follows for the choice of a method, in a sentence or two."""
        return advise(self)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the map."""
        nearest = [None if np.isnan(c) else round(c, 3) for c in self.correlation.nearest]
        told: dict[str, Any] = {
            "sigma": self.sigma,
            "percent": self.percent,
            "model": self.model,
            "method": self.method,
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
        if self.no_map:
            told["no_map"] = self.no_map
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
    volumes that are not blank, MP-PCA gives sigma, and the first of them all else, the map too.

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
        with_map: make the map of local sigma as well (:func:`meddenoise.noise.sigma_map.sigma_map`,
            and where noise is correlated, corrected as sigma is). An image that is too small for
            one has its sigma all the same.

    Raises:
        ParameterError: the scan is constant, has no finite voxel, is too small, or its values are
            too large.
    """
    check_coils(coils)
    volume = scan if isinstance(scan, Volume) else Volume.from_array(scan)
    modality = volume.modality or modality or ("CT" if volume.units == "HU" else "")
    values, valid, largest = _first(volume)
    empty = noise_background(values, mask=valid, coils=coils) if modality in ("", "MR") else None
    mask = valid & tissue_mask(values, units=volume.units)
    if empty is not None and (mask & ~empty.mask).any():
        mask &= ~empty.mask
    there = None
    if empty is not None:
        there = background_correlation(values, empty.mask, magnitude=empty.magnitude)
    signed = bool(np.min(values, where=valid, initial=np.inf) < 0)
    seen = _in_tissue(values, mask, modality, empty, there, signed, coils)
    magnitude = seen.model == "rician"
    sigma, correlation, empty = _settled(seen, empty, there, _long(values))
    repeats = _by_volumes(volume, mask, magnitude, coils)
    sigma = sigma if repeats is None else repeats
    if sigma < np.finfo(np.float32).eps * largest:
        sigma = 0.0  # rounding
    local, no_map = None, ""
    if with_map:
        try:
            local = sigma_map(
                values, mask=valid, spacing=volume.spacing, magnitude=magnitude, coils=coils
            )
            local /= np.float32(correlation.response(_long(values)) ** 0.5)
        except ParameterError as fault:  # too small for a map, not for sigma
            no_map = str(fault)
    return NoiseEstimate(
        sigma=sigma,
        model=seen.model,
        coils=coils,
        correlation=correlation,
        background=None if empty is None else empty.sigma,
        tissue=seen.sigma,
        mppca=repeats,
        photons=seen.photons,
        map=local,
        no_map=no_map,
        reference=np.nan if volume.units == "HU" else _reference(volume),
    )


def _reference(volume: Volume) -> float:
    """The 99.9th percentile of all channels, of large scans by evenly spaced slabs."""
    enough = ENOUGH // volume.channels
    few = [thinned(*each, enough) for each in zip(volume.array, volume.valid, strict=True)]
    return reference_intensity(np.concatenate([values[counted] for values, counted in few]))


@dataclass(frozen=True)
class _Tissue:
    """What the tissue says; ``photons`` only if the model is theirs."""

    sigma: float
    model: str
    correlation: Correlation
    photons: PhotonTransfer | None


def _settled(
    seen: _Tissue, empty: Background | None, there: Correlation | None, axes: list[int]
) -> tuple[float, Correlation, Background | None]:
    """Sigma and correlation by the tissue or the background, and that if it is one."""
    sigma, correlation = seen.sigma, seen.correlation
    if empty is None or there is None:
        return sigma, correlation, None
    if seen.photons is None and agree(empty.sigma, sigma, correlation.response(axes)):
        if there.near(correlation):
            return empty.sigma, there.filled(correlation), empty
        return sigma, correlation, None  # weak tissue
    return sigma, correlation, empty if empty.certain else None


def _in_tissue(
    values: NDArray[np.floating],
    mask: NDArray[np.bool_],
    modality: str,
    empty: Background | None,
    there: Correlation | None,
    signed: bool,
    coils: int,
) -> _Tissue:
    """The noise of the tissue, which is ``mask``.

    ``there`` is the background's correlation, for tissue too small to tell its own; ``signed``:
    there are negative values.
    """
    few, where = thinned(values, mask)
    guide = smoothed(few, where)
    guided = Guided(few, guide, mask=where)
    curve = guided.curve()
    line = photon_transfer(curve) if len(curve.sigmas) >= 3 else None
    may_count = modality in _COUNTING or (modality == "" and values.ndim == 2)
    photons = line if may_count and line is not None and line.counting else None
    model = _model(modality, values[mask], signed, empty, curve, photons)
    if model == "poisson_gaussian" and photons is not None:
        correlation = tissue_correlation(few, where)
        sigma = photons.sigma(float(np.median(values[mask])))
        sigma /= correlation.response(_long(values)) ** 0.5
        return _Tissue(sigma, model, correlation, photons)

    def level(curve: NoiseCurve) -> NoiseCurve:
        return without_magnitude(curve, coils) if model == "rician" else curve

    sigma, low, high = quietest(level(curve))
    local = level(curve)(guide)
    # Where texture adds to the noise, it would be taken for correlated noise.
    quiet = where & (local >= low) & (local <= high)
    correlation = tissue_correlation(few, quiet)
    if model == "rician" and quiet.any():
        # At a low SNR the correlation of the magnitude is that of the channels squared.
        strong = quiet & (guide >= np.median(guide[quiet]))
        correlation = tissue_correlation(few, strong).filled(correlation)
    if np.isnan(correlation.coefficients).any():
        correlation = correlation.filled(tissue_correlation(few, where))
    if there is not None:
        correlation = correlation.filled(there)
    if correlation.white:
        sigma, _, _ = quietest(level(guided.curve(SPLINE)))
        if model == "gaussian" and np.count_nonzero(where) < _FEW:
            whole = estimate_sigma(few, mask=where)
            sigma = whole if whole < _CLOSE * sigma else sigma
        return _Tissue(sigma, model, correlation, None)
    return _Tissue(sigma / correlation.response(_long(values)) ** 0.5, model, correlation, None)


def _long(values: NDArray[np.floating]) -> list[int]:
    """The axes that the finest band is diagonal in."""
    return [axis for axis, n in enumerate(values.shape) if n >= WIDTH]


def _first(volume: Volume) -> tuple[NDArray[np.floating], NDArray[np.bool_], float]:
    """The first channel with something in it, its measured voxels, and their largest size."""
    found = False
    for values, valid in zip(volume.array, volume.valid, strict=True):
        low, high = _range(values, valid)
        if max(-low, high) > _LARGEST and low <= high:
            raise ParameterError(
                f"The image has values from {low:.3g} to {high:.3g}, too large to estimate its "
                "noise: rescale it, or mask them."
            )
        if low < high:
            return values, valid, max(-low, high)
        found |= low == high
    raise ParameterError(
        "The image is constant: there is no noise to estimate."
        if found
        else "The image has no finite voxel: there is no noise to estimate."
    )


def _range(values: NDArray[np.floating], valid: NDArray[np.bool_]) -> tuple[float, float]:
    """The lowest and the highest value; infinite, and the other way round, where there is none."""
    low = float(np.min(values, where=valid, initial=np.inf))
    return low, float(np.max(values, where=valid, initial=-np.inf))


def _by_volumes(
    volume: Volume, mask: NDArray[np.bool_], magnitude: bool, coils: int
) -> float | None:
    """Sigma by MP-PCA over the volumes with something in them; ``None`` where it cannot be told."""
    if volume.channels < FEWEST_VOLUMES:
        return None
    # A blank volume (a dropped one) has no noise, and none of its voxels may be known.
    ranges = [_range(*one) for one in zip(volume.array, volume.valid, strict=True)]
    full = [low < high for low, high in ranges]
    array = volume.array if all(full) else volume.array[full]
    if volume.dims == 2:  # a series of one slice
        array, mask = array[..., None], mask[..., None]
    # Too few volumes or windows: the first volume says what it can.
    with suppress(ParameterError):
        return mppca_sigma(array, mask=mask, magnitude=magnitude, coils=coils)
    return None


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
