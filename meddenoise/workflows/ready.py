"""Without a model and a method: the network that ships with the package."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ParameterError
from meddenoise.io.plane_scan import middle_of, planes_a_part
from meddenoise.noise.scan_level import one_channel
from meddenoise.noise.sigma_map import LocalSigma, local_sigma
from meddenoise.volume import Volume
from meddenoise.workflows.adapted import adapted
from meddenoise.workflows.looked_at import (
    is_series,
    looked_at,
    voxels_looked_at,
    warn_of_structure,
)

if TYPE_CHECKING:
    from meddenoise.pretrained.assumed import Assumed
    from meddenoise.pretrained.ready import ReadyDenoiser

__all__ = ["Shipped", "denoise_ready"]

Progress = Callable[[float], None]


class Shipped(Mapping[int, "ReadyDenoiser"]):
    """The networks that ship, by the number of axes that they are for; loaded when asked for.

    All are looked at here, before anything is read, and the one for most axes is
    loaded.

    Args:
        device: where they run.
        options: how; tiles are said for images of so many axes, and no others are then denoised.

    Raises:
        ModelError: the weights are missing or altered.
        ConfigError: an option that says nothing of how a network is run.
        ParameterError: its result is to be restored.
    """

    def __init__(self, device: str, options: Mapping[str, Any]) -> None:
        from meddenoise.pretrained import shipped_dims, shipped_weights

        if options.get("restore") is True:
            raise ParameterError(
                "inference.restore is for networks that ignore a voxel's own value, and the one "
                "that ships with meddenoise looks at it: leave restore out."
            )
        if not shipped_dims():
            shipped_weights()  # says so
        self._known, tile = shipped_dims(), options.get("tile")
        if isinstance(tile, (list, tuple)) and len(tile) in self._known:
            self._known = (len(tile),)
        self._device, self._options = device, options
        for dims in self._known[:-1]:
            shipped_weights(dims)
        _ = self[self._known[-1]]

    def __getitem__(self, dims: int) -> ReadyDenoiser:
        from meddenoise.pretrained.ready import ReadyDenoiser

        if dims not in self._known:
            raise KeyError(dims)
        return ReadyDenoiser.load(dims, self._device, self._options)

    def __iter__(self) -> Iterator[int]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def denoise_ready(
    volume: Volume,
    networks: Mapping[int, ReadyDenoiser],
    *,
    sigma: float | None = None,
    stabilise: str | None = None,
    coils: int | None = None,
    adapt: float | None = None,
    progress: Progress | None = None,
) -> Volume:
    """A scan through the network that ships with meddenoise.

    What is assumed of the noise, where the network does not know such scans, and structure in what
    was taken away are told in warnings.

    Args:
        volume: the scan; each channel of a 4-D one is denoised by itself.
        networks: see :class:`Shipped`.
        sigma: the noise's standard deviation in image units; estimated if ``None``.
        stabilise: ``"auto"``, ``"none"``, ``"rician"`` or ``"anscombe"``; ``None`` is ``"auto"``.
        coils: whose sum of squares a magnitude image is.
        adapt: seconds for all channels together to do better than the network alone; see
            :func:`meddenoise.workflows.adapted.adapted`.
        progress: called with the finished fraction.

    Raises:
        ParameterError: a scan of another number of axes, or noise that cannot be estimated.
    """
    from meddenoise.pretrained import shipped_dims
    from meddenoise.pretrained.thick import ready_for

    ready = ready_for(networks, volume.spacing, volume.shape)
    if ready is None and isinstance(networks, Shipped) and volume.dims in shipped_dims():
        axes = next(iter(networks))
        raise ParameterError(
            f"The image is {volume.dims}-D, and the network that ships with meddenoise is for "
            f"{axes}-D scans where inference.tile has {axes} axes: give it {volume.dims}, or leave "
            "it out."
        )
    if ready is None:
        raise ParameterError(
            f"The image is {volume.dims}-D, and the network that ships with meddenoise is for "
            f"{' and '.join(f'{d}-D' for d in networks)} scans: say --method auto, which looks at "
            "the image and chooses."
        )
    valid, out = volume.valid, volume.array.copy()
    notes = [ready.note]
    series = is_series(volume)
    known = {"sigma": sigma, "stabilise": stabilise, "coils": coils or 1}
    shared = _assumed(volume, volume.channels, known) if series else None
    said = False
    for channel in range(volume.channels):
        inside = valid[channel]
        noisy = volume.array[channel]
        if inside.any() and np.ptp(noisy[inside]) > 0:
            noise = shared or _assumed(one_channel(volume, channel), volume.channels, known)
            if not (said and series):  # of a series all is said once
                warnings.warn(" ".join((*noise.said, *noise.doubts)), stacklevel=2)
            said = True
            if not noise.silent:
                filled = np.where(inside, noisy, noisy[inside].mean(dtype=np.float64))
                z = noise.forward(filled.astype(noisy.dtype))
                share = _share(progress, channel, volume.channels)
                if adapt is None:
                    clean = ready(z, inside, second=noise.second, progress=share)
                else:
                    how = f"adapted for {adapt:g} s" if noise.white else "in the mean with bm4d"
                    notes += [] if how in notes else [how]
                    clean = adapted(
                        z,
                        ready,
                        noise,
                        spacing=volume.spacing,
                        seconds=adapt / volume.channels,
                        progress=share,
                    )
                block = looked_at(noisy.shape)
                warn_of_structure(z[block], clean[block], inside[block])
                out[channel] = np.where(inside, noise.inverse(clean), noisy)
        if progress:
            progress((channel + 1) / volume.channels)
    return volume.with_array(out, note=", ".join(notes))


def _assumed(volume: Volume, channels: int, known: Mapping[str, Any]) -> Assumed:
    """What is assumed of a scan's noise: of one of so many channels, or of a series as a whole."""
    from meddenoise.pretrained.assumed import Rest, assume

    enough = voxels_looked_at(channels)
    if volume.dims == 2 or math.prod(volume.shape) <= enough:
        return assume(volume, **known)

    array, valid = volume.array[0], volume.valid_in(0)

    def parts() -> Iterator[NDArray[np.floating]]:
        step = planes_a_part(array.shape)
        for first in range(0, array.shape[2], step):
            here = (..., slice(first, first + step))
            yield np.where(valid[here], array[here], np.nan)

    def local(magnitude: bool) -> LocalSigma:
        return local_sigma(
            volume.shape,
            parts(),
            spacing=volume.spacing,
            magnitude=magnitude,
            coils=known["coils"],
        )

    rest = Rest(float(volume.array[volume.valid].min()), local)
    return assume(middle_of(volume, enough), rest=rest, **known)


def _share(progress: Progress | None, part: int, parts: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done: progress((part + done) / parts)
