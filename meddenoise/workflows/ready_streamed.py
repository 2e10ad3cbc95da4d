"""The network that ships with meddenoise over a scan that does not fit into the memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meddenoise.inference.sums import Summed, Sums
from meddenoise.io.ahead import ahead
from meddenoise.io.parts import Originals
from meddenoise.io.plane_scan import PlaneScan
from meddenoise.noise.scan_level import one_channel
from meddenoise.noise.sigma_map import LocalSigma, local_sigma
from meddenoise.pretrained.assumed import Assumed, Rest, assume
from meddenoise.pretrained.ready import ReadyDenoiser
from meddenoise.pretrained.thick import ThickSliced
from meddenoise.volume import Volume
from meddenoise.workflows.looked_at import Block, is_series, voxels_looked_at, warn_of_structure

__all__ = ["ReadyStreaming"]

Planes = Iterator[NDArray[np.floating]]


class ReadyStreaming(Summed):
    """One scan that goes plane by plane through the network that ships.

    The noise is estimated from the middle planes, as of a large scan in memory; the smallest value,
    the mean and where there is no number are found in passes over all of it.

    Args:
        ready: the network for three axes, or that and the one for slices along the last axis.
        scan: on disk.
        sigma, stabilise, coils: as for :func:`meddenoise.workflows.ready.denoise_ready`.

    Raises:
        ParameterError: noise that cannot be estimated.
    """

    def __init__(
        self,
        ready: ReadyDenoiser | ThickSliced,
        scan: PlaneScan,
        *,
        sigma: float | None = None,
        stabilise: str | None = None,
        coils: int | None = None,
    ) -> None:
        self.ready, self.scan = ready, scan
        self.sums = [Sums.of(ahead(scan.planes(c))) for c in range(scan.head.channels)]
        self.noises = self._noises(sigma, stabilise, coils or 1)

    @property
    def head(self) -> Volume:
        """The result without its voxels, as the scan's head."""
        return self.scan.head.with_array(self.scan.head.array, note=self.ready.note)

    def _noises(
        self, sigma: float | None, stabilise: str | None, coils: int
    ) -> list[Assumed | None]:
        """What is assumed of each channel; ``None`` of a blank one."""
        if self.blank:
            return [None] * len(self.sums)
        few = self.scan.middle(voxels_looked_at(self.scan.head.channels))
        series = is_series(few)
        lowest = min(sums.low for sums in self.sums)
        found: list[Assumed | None] = []
        shared: Assumed | None = None
        for channel, sums in enumerate(self.sums):
            if sums.blank or shared is not None:
                found.append(None if sums.blank else shared)
                continue

            def local(magnitude: bool, channel: int = channel) -> LocalSigma:
                return local_sigma(
                    self.scan.shape,
                    ahead(self.scan.planes(channel)),
                    spacing=self.scan.head.spacing,
                    magnitude=magnitude,
                    coils=coils,
                )

            noise = assume(
                few if series else one_channel(few, channel),
                sigma=sigma,
                stabilise=stabilise,
                coils=coils,
                rest=Rest(lowest if series else sums.low, local),
            )
            warnings.warn(" ".join((*noise.said, *noise.doubts)), stacklevel=2)
            shared = noise if series else None
            found.append(noise)
        return found

    def planes(self, beside: Path, progress: Callable[[float], None] | None = None) -> Planes:
        """The result, parts ``(X, Y, n)`` from first to last, one channel after the other."""
        count = len(self.sums)
        for channel, noise in enumerate(self.noises):

            def told(done: float, channel: int = channel) -> None:
                if progress:
                    progress((channel + done) / count)

            if noise is None or noise.silent:
                yield from (part for part, _ in self.scan.originals(channel))
            else:
                yield from self._channel(channel, noise, told)
            told(1.0)

    def _in_noise(self, channel: int, noise: Assumed) -> Planes:
        """The channel in units of its noise; not a number where it is none."""
        done = 0
        for part in self.scan.planes(channel):
            finite = np.isfinite(part)
            whole = bool(finite.all())
            known = part if whole else np.where(finite, part, self.sums[channel].mean)
            z = noise.planes(done, done + part.shape[2]).forward(known.astype(part.dtype))
            yield z if whole else np.where(finite, z, np.nan)
            done += part.shape[2]

    def _channel(self, channel: int, noise: Assumed, told: Callable[[float], None]) -> Planes:
        sums = Sums.of(ahead(self._in_noise(channel, noise)))
        block = Block(self.scan.shape)

        def given() -> Planes:
            done = 0
            for part in ahead(self._in_noise(channel, noise)):
                block.noisy(part, done)
                done += part.shape[2]
                yield part

        before = Originals(self.scan.originals(channel))
        missing, kind, done = bool(self.sums[channel].missing), self.scan.head.array.dtype, 0
        for clean in self.ready.planes(
            self.scan.shape, given, sums, second=noise.second, progress=told
        ):
            count = clean.shape[2]
            block.clean(clean, done)
            values = noise.planes(done, done + count).inverse(clean).astype(kind, copy=False)
            if missing:
                original, measured = before.next(count)
                values = np.where(measured, values, original)
            done += count
            yield values
        warn_of_structure(*block.pair())
