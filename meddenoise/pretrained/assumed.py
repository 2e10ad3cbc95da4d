"""What is assumed of a scan's noise before the network sees it, and whether the network knows such
scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import InputError, ParameterError
from meddenoise.noise.anscombe import Anscombe
from meddenoise.noise.correlation import Correlation
from meddenoise.noise.estimation import NoiseEstimate, estimate
from meddenoise.noise.finest_band import WIDTH
from meddenoise.noise.level import reference_intensity
from meddenoise.noise.moments import check_magnitude
from meddenoise.noise.rician_vst import RicianStabilisation
from meddenoise.noise.sigma_map import LocalSigma
from meddenoise.noise.stabilise import LIKE_PHOTONS, gaussian_floor
from meddenoise.volume import Volume

if TYPE_CHECKING:
    from meddenoise.inference.compute import Second

__all__ = ["Assumed", "Rest", "assume", "thick_axis", "unknown_traits"]

# What the network was trained for; see configs/pretrain_3d.yaml and data/synthetic.
# In percent of the noisy scan's 99.9th percentile, which strong noise raises.
_WEAKEST, _STRONGEST = 0.5, 22.0
_CORRELATED = 0.5
_THICKEST = 4.0
# From there on slices are looked at one by one as well.
_THICK = 2.5
_MODALITIES = ("", "MR", "CT")

# A map is taken where it differs so much from end to end: by less it may be chance and anatomy.
_UNEVEN = 1.8
# As far as it is believed, by its median.
_MAP_RANGE = (0.4, 2.5)
# Of the 99.9th percentile: less is no noise, but what floats cannot tell.
_ROUNDING = 1e-6

_AUTO = "--method auto looks at the scan and chooses"
_TRAINS = ", and with --budget trains on it"


@dataclass(frozen=True, eq=False)
class Assumed:
    """How a scan is brought into units of its noise, and back.

    Attributes:
        scale: the noise's standard deviation in image units (for Rician noise that of the real and
            the imaginary channel): a number, or float32 of the spatial shape, or for a scan that
            was looked at in part a map of the whole; 0 where there is none to be seen.
        stabiliser: what makes noise of that scale Gaussian; ``None`` if it is.
        correlation: of the noise between a voxel and its neighbours.
        said: what was found, a sentence each.
        doubts: where the network does not know such scans, a sentence each.
    """

    scale: float | NDArray[np.float32] | LocalSigma
    stabiliser: RicianStabilisation | Anscombe | None
    correlation: Correlation
    said: tuple[str, ...]
    doubts: tuple[str, ...]

    @property
    def white(self) -> bool:
        """Whether it is independent from voxel to voxel."""
        return not self.correlation.axes

    @property
    def silent(self) -> bool:
        """Whether there is no noise to be seen."""
        return not isinstance(self.scale, LocalSigma) and bool(np.max(self.scale) == 0)

    @property
    def second(self) -> Second:
        """The second pass that fits, see :class:`meddenoise.pretrained.ready.ReadyDenoiser`."""
        return "negative" if self.stabiliser is None else "shifted"

    @property
    def floor(self) -> float | None:
        """The intensity below which that noise is not Gaussian even then; ``None`` for none."""
        return gaussian_floor(self.stabiliser)

    def planes(self, first: int, last: int) -> Assumed:
        """The same for some planes of the scan, those from ``first`` to before ``last``."""
        if isinstance(self.scale, LocalSigma):
            return replace(self, scale=self.scale.planes(first, last))
        if np.ndim(self.scale):
            return replace(self, scale=np.asarray(self.scale)[..., first:last])
        return self

    def forward(self, array: NDArray[np.floating]) -> NDArray[np.floating]:
        """A channel with noise of standard deviation 1."""
        if isinstance(self.stabiliser, Anscombe):
            return self.stabiliser.forward(array)
        z = array / self._sigma
        return z if self.stabiliser is None else self.stabiliser.forward(z)

    def inverse(self, array: NDArray[np.floating]) -> NDArray[np.floating]:
        """A denoised channel in image units, without bias."""
        if isinstance(self.stabiliser, Anscombe):
            return self.stabiliser.inverse(array)
        z = array if self.stabiliser is None else self.stabiliser.inverse(array)
        return np.asarray(z * self._sigma)

    @property
    def _sigma(self) -> float | NDArray[np.float32]:
        return self.scale.whole() if isinstance(self.scale, LocalSigma) else self.scale


@dataclass(frozen=True, eq=False)
class Rest:
    """What is to be known of a scan of which only some planes are looked at.

    Attributes:
        lowest: the smallest value in all of it.
        local: makes the map of all of its noise, as that of a magnitude or not; see
            :func:`meddenoise.noise.sigma_map.local_sigma`.
    """

    lowest: float
    local: Callable[[bool], LocalSigma]


def assume(
    volume: Volume,
    *,
    sigma: float | None = None,
    stabilise: str | None = None,
    coils: int = 1,
    rest: Rest | None = None,
) -> Assumed:
    """Estimates the noise of a scan.

    Args:
        volume: the scan; of several channels all that follows is of the first with something in
            it, or of a series of 6 and more.
        sigma: the noise's standard deviation in image units, if it is known.
        stabilise: ``"rician"``, ``"anscombe"`` or ``"none"``; by what is found for ``None`` and
            ``"auto"``.
        coils: whose sum of squares a magnitude image is.
        rest: of the scan, if ``volume`` is some planes of it only.

    Raises:
        ParameterError: noise that cannot be estimated; a stabilisation that does not fit the scan,
            or a sigma for Anscombe's.
    """
    try:
        found = estimate(_taken_for(volume, stabilise), coils=coils, with_map=sigma is None)
    except InputError as fault:
        raise ParameterError(f"{fault} Say --sigma and --method instead.") from None
    values = volume.array[volume.valid]
    lowest = float(values.min()) if rest is None else rest.lowest
    way = stabilise if stabilise not in (None, "auto") else _way(found, lowest)
    # From a scan of correlated noise alone nothing is learnt.
    auto = _AUTO + ("" if found.correlated else _TRAINS)
    doubts = [
        f"The network was not trained for {what}: {auto}."
        for what in unknown_traits(found, volume, sigma)
    ]
    if way == "anscombe" and sigma is not None and stabilise != way:
        way = "none"
        doubts.append(LIKE_PHOTONS)
    kind = {"rician": "Rician", "anscombe": "that of counted photons"}.get(way, "Gaussian")
    reference = reference_intensity(values) if np.isnan(found.reference) else found.reference
    along = found.correlation
    if sigma is None and found.sigma <= _ROUNDING * abs(reference):
        return Assumed(0.0, None, along, ("No noise can be seen: the scan is left as it is.",), ())
    if way == "anscombe":
        photons, heard = _anscombe(found, sigma), _said(kind, found, None)
        return Assumed(1.0, photons, along, (heard,), tuple(doubts))
    if way == "rician":
        check_magnitude(np.array([lowest]))
    stabiliser = RicianStabilisation(1.0, coils) if way == "rician" else None
    scale: float | NDArray[np.float32] | LocalSigma = found.sigma if sigma is None else sigma
    said = [_said(kind, found, sigma)]
    if sigma is None and found.map is not None and volume.channels == 1:
        tissue = _tissue(volume)
        limits = _limits(found.map, found.sigma, tissue)
        if limits is not None:
            local = np.clip(found.map, *limits).astype(np.float32)
            scale = local if rest is None else _of_all(rest, found, volume).within(*limits)
            low, high = np.percentile(local[tissue], (5, 95))
            said.append(f"It varies from {low:.4g} to {high:.4g} over the scan: a map is taken.")
    if sigma == 0:
        raise ParameterError("sigma is 0: where there is no noise, there is nothing to take away.")
    return Assumed(scale, stabiliser, along, tuple(said), tuple(doubts))


def _taken_for(volume: Volume, stabilise: str | None) -> Volume:
    """With the noise that is said, whatever the header says of the scan."""
    if stabilise == "rician":
        return replace(volume, modality="MR")
    return replace(volume, modality="NM", units="") if stabilise == "anscombe" else volume


def _way(found: NoiseEstimate, lowest: float) -> str:
    if found.model == "rician" and lowest >= 0:
        return "rician"
    return "anscombe" if found.photons is not None else "none"


def _of_all(rest: Rest, found: NoiseEstimate, volume: Volume) -> LocalSigma:
    """The map of all of a scan, corrected as :func:`meddenoise.noise.estimate` corrects one."""
    axes = [axis for axis, n in enumerate(volume.shape) if n >= WIDTH]
    return rest.local(found.model == "rician").scaled(found.correlation.response(axes) ** -0.5)


def _anscombe(found: NoiseEstimate, sigma: float | None) -> Anscombe:
    if sigma is not None:
        raise ParameterError(
            "The noise of counted photons depends on the intensity, so that no one sigma describes "
            "it: leave --sigma out, or --stabilise anscombe."
        )
    if found.photons is None:
        raise ParameterError(
            "The variance of the scan's noise is not seen to grow in a line with the intensity, as "
            "that of counted photons does: leave --stabilise out."
        )
    return Anscombe(found.photons.gain, found.photons.variance)


def _tissue(volume: Volume) -> NDArray[np.bool_]:
    """What is brighter than the mean: air is often masked or smoothed, and tells nothing."""
    array, valid = volume.array[0], volume.valid_in(0)
    bright: NDArray[np.bool_] = valid & (array > array[valid].mean(dtype=np.float64))
    return bright


def _limits(
    local: NDArray[np.float32], sigma: float, tissue: NDArray[np.bool_]
) -> tuple[float, float] | None:
    """Those of a map that is uneven enough in the tissue to be believed; ``None`` of any other.

    Not where all of it exceeds the scan's own sigma: then anatomy has added to it.
    """
    low, high = np.percentile(local[tissue], (5, 95))
    if not (low > 0 and high > _UNEVEN * low and low <= 1.1 * sigma):
        return None
    middle = float(np.median(local[tissue]))
    return _MAP_RANGE[0] * middle, _MAP_RANGE[1] * middle


def _said(kind: str, found: NoiseEstimate, sigma: float | None) -> str:
    if sigma is not None:
        return f"Taken: noise that is {kind}, with a sigma of {sigma:.4g}, as was said."
    share = "" if found.percent is None else f" ({found.percent:.1f} % of the 99.9th percentile)"
    return f"The noise is taken to be {kind}, with a sigma of {found.sigma:.4g}{share}."


def unknown_traits(found: NoiseEstimate, volume: Volume, sigma: float | None = None) -> list[str]:
    """Whatever of a scan and its noise the network was not trained for.

    Args:
        found: the scan's noise.
        volume: the scan.
        sigma: the noise's standard deviation, if it is known better.
    """
    doubts = []
    percent = found.percent
    if sigma is not None and found.reference > 0:
        percent = 100 * sigma / found.reference
    if percent is not None and percent > _STRONGEST:
        doubts.append(f"noise of more than {_STRONGEST:g} % of the range of intensities")
    if percent is not None and percent < _WEAKEST:
        doubts.append(f"noise of less than {_WEAKEST:g} % of the range of intensities")
    strong = [
        "xyz"[axis] for axis, c in enumerate(found.correlation.nearest) if abs(c) > _CORRELATED
    ]
    if strong:
        doubts.append(f"noise that is strongly correlated, as this is along {' and '.join(strong)}")
    thick = thick_axis(volume.spacing)
    across = [size for axis, size in enumerate(volume.spacing) if axis != thick]
    if max(across) > _THICKEST * min(across):
        sizes = " x ".join(f"{s:.3g}" for s in volume.spacing)
        doubts.append(f"voxels as unequal as {sizes} mm")
    if volume.modality not in _MODALITIES:
        doubts.append(f"the modality {volume.modality}")
    return doubts


def thick_axis(spacing: Sequence[float]) -> int | None:
    """The axis across thick slices, 2.5 times as long there as along any other; ``None`` if none.

    Args:
        spacing: voxel size in mm, per axis.
    """
    if len(spacing) != 3:
        return None
    axis = int(np.argmax(spacing))
    widest = max(size for other, size in enumerate(spacing) if other != axis)
    return axis if spacing[axis] >= _THICK * widest else None
