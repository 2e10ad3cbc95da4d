"""Without a model and a method: the network that ships with the package."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meddenoise._version import __version__
from meddenoise.errors import ParameterError
from meddenoise.noise.mppca import FEWEST_VOLUMES
from meddenoise.noise.scan_level import one_channel
from meddenoise.volume import Volume

if TYPE_CHECKING:
    from meddenoise.pretrained.ready import ReadyDenoiser

__all__ = ["denoise_ready", "load_all"]

Progress = Callable[[float], None]


def load_all(device: str, options: Mapping[str, Any]) -> dict[int, ReadyDenoiser]:
    """The networks that ship, by the number of axes that they are for.

    Raises:
        ModelError: the weights are missing or altered.
        ConfigError: an option that says nothing of how a network is run.
    """
    from meddenoise.pretrained import shipped_dims, shipped_weights
    from meddenoise.pretrained.ready import ReadyDenoiser

    if not shipped_dims():
        shipped_weights()  # says so
    return {dims: ReadyDenoiser.load(dims, device, options) for dims in shipped_dims()}


def denoise_ready(
    volume: Volume,
    networks: Mapping[int, ReadyDenoiser],
    *,
    sigma: float | None = None,
    stabilise: str | None = None,
    coils: int | None = None,
    progress: Progress | None = None,
) -> Volume:
    """A scan through the network that ships with meddenoise.

    What is assumed of the noise, where the network does not know such scans, and structure in what
    was taken away are told in warnings.

    Args:
        volume: the scan; each channel of a 4-D one is denoised by itself.
        networks: from :func:`load_all`.
        sigma: the noise's standard deviation in image units; estimated if ``None``.
        stabilise: ``"auto"``, ``"none"``, ``"rician"`` or ``"anscombe"``; ``None`` is ``"auto"``.
        coils: whose sum of squares a magnitude image is.
        progress: called with the finished fraction.

    Raises:
        ParameterError: a scan of another number of axes, or noise that cannot be estimated.
    """
    from meddenoise.pretrained.assumed import assume

    ready = networks.get(volume.dims)
    if ready is None:
        raise ParameterError(
            f"The image is {volume.dims}-D, and the network that ships with meddenoise is for "
            f"{' and '.join(f'{d}-D' for d in networks)} scans: say --method auto, which looks at "
            "the image and chooses."
        )
    valid, out = volume.valid, volume.array.copy()
    series = volume.channels >= FEWEST_VOLUMES
    known = {"sigma": sigma, "stabilise": stabilise, "coils": coils or 1}
    shared = assume(volume, **known) if series else None  # type: ignore[arg-type]
    for channel in range(volume.channels):
        inside = valid[channel]
        noisy = volume.array[channel]
        if inside.any() and np.ptp(noisy[inside]) > 0:
            one = one_channel(volume, channel)
            noise = shared or assume(one, **known)  # type: ignore[arg-type]
            told = noise.said if channel == 0 or not series else ()
            if told:
                warnings.warn(" ".join((*told, *noise.doubts)), stacklevel=2)
            if not noise.silent:
                filled = np.where(inside, noisy, noisy[inside].mean(dtype=np.float64))
                z = noise.forward(filled.astype(noisy.dtype))
                clean = ready(z, inside, progress=_share(progress, channel, volume.channels))
                _look_at_residual(z, clean, inside)
                out[channel] = np.where(inside, noise.inverse(clean), noisy)
        if progress:
            progress((channel + 1) / volume.channels)
    return volume.with_array(out, note=f"meddenoise {__version__} denoised with {ready.name}")


def _look_at_residual(
    z: NDArray[np.floating], clean: NDArray[np.floating], inside: NDArray[np.bool_]
) -> None:
    from meddenoise.evaluation.residual import residual_structure

    try:
        found = residual_structure(z, clean, mask=inside)
    except ParameterError:
        return  # too small to tell
    if found.structured:
        warnings.warn(
            f"What was taken away holds structure: at edges it is {found.ratio:.1f} times as "
            "strong as elsewhere, where noise alone would be alike. Look at it (--keep-noise), or "
            "take less away (--strength 0.7).",
            stacklevel=3,
        )


def _share(progress: Progress | None, part: int, parts: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done: progress((part + done) / parts)
