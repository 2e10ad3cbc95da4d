"""The noise of a scan made Gaussian with a standard deviation of 1, and undone without bias.

It fits around any method: :meth:`Stabilisation.forward`, then whatever denoises noise of sigma 1,
then :meth:`Stabilisation.inverse`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import InputError, ParameterError
from meddenoise.noise.anscombe import Anscombe
from meddenoise.noise.estimation import NoiseEstimate, estimate
from meddenoise.noise.moments import check_coils, check_magnitude
from meddenoise.noise.mppca import FEWEST_VOLUMES
from meddenoise.noise.rician_vst import RicianStabilisation
from meddenoise.noise.scan_level import one_channel
from meddenoise.registry import nearest
from meddenoise.volume import Volume

__all__ = [
    "Method",
    "Stabilisation",
    "Stabiliser",
    "Way",
    "check_way",
    "find_stabilisation",
    "gaussian_floor",
]

Method: TypeAlias = Literal["none", "rician", "anscombe"]
Way: TypeAlias = Literal["auto", "none", "rician", "anscombe"]
Stabiliser: TypeAlias = RicianStabilisation | Anscombe

LIKE_PHOTONS = (
    "The noise looks like that of counted photons, which depends on the intensity; as one sigma is "
    "said, it is taken to be Gaussian, of that sigma everywhere. Without a sigma it is stabilised."
)
"""What is said of a sigma for noise that seems to have none."""

_SILENT = "There is no noise to be seen in the scan, so that nothing is stabilised."
# Of sigma: the skewness of stabilised Rician noise is below 0.35 there, and falls with the signal.
_LOW = 2.0
_FOR_MODEL: dict[str, Method] = {"rician": "rician", "poisson_gaussian": "anscombe"}


@dataclass(frozen=True)
class Stabilisation:
    """What is done to a scan.

    Attributes:
        method: ``"rician"``, ``"anscombe"``, or ``"none"``.
        stabilisers: one a channel; ``None`` where nothing is to be done.
        why: what ``"auto"`` found and chose, in a sentence; ``""`` if the method was given.
    """

    method: Method
    stabilisers: tuple[Stabiliser | None, ...]
    why: str = ""

    def forward(self, array: NDArray[np.floating], channel: int = 0) -> NDArray[np.floating]:
        """A channel with noise of standard deviation 1; what has no stabiliser is given back."""
        stabiliser = self.stabilisers[channel]
        return array if stabiliser is None else stabiliser.forward(array)

    def inverse(self, array: NDArray[np.floating], channel: int = 0) -> NDArray[np.floating]:
        """A denoised channel in image units; what has no stabiliser is given back."""
        stabiliser = self.stabilisers[channel]
        return array if stabiliser is None else stabiliser.inverse(array)

    def floor(self, channel: int = 0) -> float | None:
        """:func:`gaussian_floor` of a channel."""
        return gaussian_floor(self.stabilisers[channel])

    @property
    def noise(self) -> str:
        """What noise it is for, such as ``"Rician noise of sigma 12.3"``."""
        each = list(dict.fromkeys(str(one) for one in self.stabilisers if one is not None))
        more = f" (in the first of {len(each)} channels)" if len(each) > 1 else ""
        return f"{each[0]}{more}" if each else "no noise"


def gaussian_floor(stabiliser: Stabiliser | None) -> float | None:
    """The stabilised intensity below which noise of sigma 1 is not Gaussian all the same.

    Of Rician noise that of an SNR of 2: darker, its skewness is -0.2 to -0.4, and the way back
    multiplies small errors. ``None`` where there is no such.
    """
    if not isinstance(stabiliser, RicianStabilisation):
        return None
    return float(stabiliser.expected(np.array([_LOW * stabiliser.sigma]))[0])


def find_stabilisation(
    volume: Volume, way: str = "auto", *, sigma: float | None = None, coils: int = 1
) -> Stabilisation:
    """The stabilisation of a scan, its numbers taken from the scan.

    ``"auto"`` follows :func:`meddenoise.noise.estimate`: Rician noise gets the Rician
    stabilisation, Poisson-Gaussian noise Anscombe's unless a sigma is said, and Gaussian or unknown
    noise none. Each channel has numbers of its own, but a series of 6 volumes and more has the same
    for all. Channels that are constant or have no finite voxel are left as they are.

    Args:
        volume: the noisy scan.
        way: ``"auto"``, ``"none"``, ``"rician"`` or ``"anscombe"``.
        sigma: standard deviation of Rician noise (of each of the real and imaginary channels) in
            image units; estimated if ``None``.
        coils: whose sum of squares a magnitude image is.

    Raises:
        ParameterError: an unknown way; negative values where the noise is to be Rician; a sigma
            for ``"anscombe"``, where the level depends on the intensity; noise that has no gain;
            or the scan is too small to estimate its noise.
    """
    check_way(way, coils)
    fitted: list[Stabiliser | None] = [None] * volume.channels
    if way == "none":
        return Stabilisation("none", tuple(fitted), "")
    full = [c for c in range(volume.channels) if _has_contrast(one_channel(volume, c))]
    # Blank volumes (dropped ones) of a series would be taken for such without noise.
    seen = volume if len(full) in (0, volume.channels) else _channels(volume, full)
    why, found = "", None
    if way == "auto":
        found = _estimated(seen, coils)
        silent = _is_silent(seen, found)
        method = "none" if silent else _FOR_MODEL.get(found.model, "none")
        why = _SILENT if silent else _why(found, method, sigma)
        if method == "anscombe" and sigma is not None:
            method, why = "none", LIKE_PHOTONS
    else:
        method = cast("Method", way)
    if method == "none":
        return Stabilisation("none", tuple(fitted), why)
    if method == "anscombe" and sigma is not None:
        raise ParameterError(
            "The noise is to be stabilised as that of counted photons, which depends on the "
            "intensity, so that no one sigma describes it: leave sigma out, or the stabilisation."
        )
    if method == "rician":
        check_magnitude(volume.array[volume.valid])
    series = len(full) >= FEWEST_VOLUMES
    one = _fit(seen, method, None, coils, found) if series and sigma is None else None
    for channel in full:
        fitted[channel] = one or _fit(one_channel(volume, channel), method, sigma, coils, found)
        found = None  # it was of the first channel with something in it
    return Stabilisation(method, tuple(fitted), why)


def check_way(way: str, coils: int = 1) -> None:
    """Raise for a stabilisation that there is not, before anything is read.

    Raises:
        ParameterError: the message names the nearest.
    """
    ways = get_args(Way)
    if way not in ways:
        raise ParameterError(
            f"There is no stabilisation {way!r}{nearest(str(way), ways)}; there are: "
            f"{', '.join(ways)}."
        )
    check_coils(coils)


def _fit(
    volume: Volume, method: Method, sigma: float | None, coils: int, found: NoiseEstimate | None
) -> Stabiliser:
    """With the numbers given, those found already, or newly estimated ones."""
    if method == "rician":
        if sigma is None:
            # A magnitude, whether the header says so or not.
            found = found or estimate(replace(volume, modality="MR"), coils=coils)
            if _is_silent(volume, found):
                raise ParameterError(f"{_SILENT} Leave the stabilisation out, or say sigma.")
            sigma = found.sigma
        return RicianStabilisation(sigma, coils)
    if found is None:
        # Like any modality that counts.
        found = estimate(replace(volume, modality="NM", units=""))
    if found.photons is None:
        raise ParameterError(
            "The variance of the scan's noise is not seen to grow in a line with the intensity, as "
            "that of counted photons does (in fewer than some 60,000 voxels it never is), so there "
            "is no gain to stabilise by: leave the stabilisation out."
        )
    return Anscombe(found.photons.gain, found.photons.variance)


def _is_silent(volume: Volume, found: NoiseEstimate) -> bool:
    """Whether there is no more noise than rounding makes."""
    return found.sigma <= 1e-6 * float(np.abs(volume.array[volume.valid]).max())


def _estimated(volume: Volume, coils: int) -> NoiseEstimate:
    try:
        return estimate(volume, coils=coils)
    except InputError as fault:
        raise type(fault)(f"{fault} So say which stabilisation to take, or none.") from None


def _why(found: NoiseEstimate, method: Method, sigma: float | None) -> str:
    """What was found, and what follows."""
    if method == "rician":
        by = f"sigma {found.sigma:.4g}" if sigma is None else f"the sigma given, {sigma:.4g}"
        return f"The noise is estimated to be Rician and is stabilised as such, with {by}."
    if method == "anscombe":
        photons = found.photons
        assert photons is not None  # of this model it is never
        return (
            "The noise is estimated to be that of counted photons and is stabilised as such, with "
            f"a gain of {photons.gain:.4g} and a variance of {photons.variance:.4g} at 0."
        )
    if found.model == "unknown":
        return "No model is known of the noise of such scans: nothing is stabilised."
    return f"The noise is estimated to be {found.model.capitalize()}: nothing is stabilised."


def _channels(volume: Volume, which: list[int]) -> Volume:
    padding = None if volume.padding is None else volume.padding[which]
    return replace(volume, array=volume.array[which], padding=padding)


def _has_contrast(part: Volume) -> bool:
    values = part.array[part.valid]
    return values.size > 0 and bool(np.ptp(values) > 0)
