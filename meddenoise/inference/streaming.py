"""A network over a scan that does not fit into the memory: planes in from disk, planes out to disk.

What the whole scan says is found beforehand: mean and standard deviation, exactly, in a pass of
their own; percentiles from evenly spaced planes of some 16 million voxels; the noise (for a model
that is told it, or with a stabilisation) from as many voxels in the middle planes.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import ModelError, OutputError, ParameterError
from meddenoise.inference.planes import as_input, in_units
from meddenoise.inference.restore import curve_of_samples, restored_planes, sampled_planes
from meddenoise.inference.stabilised import stabilisation_around
from meddenoise.inference.sums import Summed, Sums
from meddenoise.io.ahead import ahead
from meddenoise.io.parts import Originals
from meddenoise.io.plane_scan import PlaneScan
from meddenoise.noise.curve import NoiseCurve
from meddenoise.noise.scan_level import scan_sigma
from meddenoise.noise.stabilise import Stabilisation
from meddenoise.transforms.normalisation import Normalisation
from meddenoise.volume import Volume

if TYPE_CHECKING:
    from meddenoise.inference.denoiser import Denoiser

__all__ = ["SAMPLE", "Streaming"]

SAMPLE = 2**24
"""Voxels of a channel that percentiles and noise are estimated from."""
# Of all channels together, for the noise.
_SAMPLE_OF_ALL = 2**26

Planes = Iterator[NDArray[np.floating]]


class Streaming(Summed):
    """One scan that is denoised plane by plane.

    Args:
        denoiser: the network, with its normalisation.
        scan: on disk.
        sigma, stabilise, coils: as for a call of the denoiser, but sigma is one number.

    Raises:
        ModelError, ParameterError: as a call of the denoiser.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        scan: PlaneScan,
        *,
        sigma: float | None = None,
        stabilise: str | None = None,
        coils: int | None = None,
    ) -> None:
        self.denoiser, self.scan, self.sigma = denoiser, scan, sigma
        self.around = self._around(stabilise, coils)
        found = [self._summed(channel) for channel in range(scan.head.channels)]
        self.sums = [sums for sums, _ in found]
        self._normalisations = [normalisation for _, normalisation in found]

    def _around(self, stabilise: str | None, coils: int | None) -> Stabilisation:
        own = self.denoiser.stabilise
        needed = own.method != "none" or stabilise not in (None, "none")
        head = self.scan.head
        few = self.scan.middle(min(SAMPLE, _SAMPLE_OF_ALL // head.channels)) if needed else head
        return stabilisation_around(few, own, sigma=self.sigma, asked=stabilise, coils=coils)

    @property
    def head(self) -> Volume:
        """The result without its voxels, as the scan's head."""
        note = self.denoiser.note(self.around)
        return self.scan.head.with_array(self.scan.head.array, note=note)

    def _summed(self, channel: int) -> tuple[Sums, Normalisation | None]:
        """A pass over a channel: of stabilised values, where it is stabilised.

        There is no normalisation of a blank one.
        """
        sums, how = Sums(), self.denoiser.normalise.model_dump()
        sample: list[NDArray[np.floating]] = []
        x, y, depth = self.scan.shape
        every = max(1, math.ceil(x * y * depth / SAMPLE))
        done = 0
        for part in ahead(self.scan.planes(channel)):
            values = self._forward(part, channel)
            sums.add(values)
            if how["method"] == "percentile":
                sample.append(values[..., -done % every :: every].astype(np.float32))
            done += part.shape[2]
        if sums.blank:
            return sums, None
        some = np.concatenate([s.ravel() for s in sample]) if sample else None
        return sums, sums.normalisation(some, **how)

    def _forward(self, part: NDArray[np.floating], channel: int) -> NDArray[np.floating]:
        """Stabilised, if that channel is."""
        if self.around.stabilisers[channel] is None:
            return part
        finite = np.isfinite(part)
        if finite.all():
            return self.around.forward(part, channel)
        # A stabiliser is not asked about what is no number; its place stays one.
        known = self.around.forward(np.where(finite, part, 0).astype(part.dtype), channel)
        return np.where(finite, known, np.nan).astype(known.dtype)

    def _level(self, channel: int) -> NDArray[np.floating] | None:
        """The noise map's one number."""
        if not self.denoiser.noise_map:
            return None
        if self.around.stabilisers[channel] is not None:
            return np.asarray(1.0, np.float32)
        if self.sigma is not None:
            return np.asarray(self.sigma, np.float32)
        return np.asarray(scan_sigma(self.scan.middle(SAMPLE, channel)), np.float32)

    def planes(self, beside: Path, progress: Callable[[float], None] | None = None) -> Planes:
        """The result, parts ``(X, Y, n)`` from first to last, one channel after the other.

        Args:
            beside: a directory with room for the scan in float32, if the result is restored from
                its residual, which asks for the whole of it first. Nothing is left there.
            progress: called with the finished fraction.
        """
        count = self.scan.head.channels
        for channel in range(count):

            def told(done: float, channel: int = channel) -> None:
                if progress:
                    progress((channel + done) / count)

            normalisation = self._normalisations[channel]
            if normalisation is None:
                yield from (part for part, _ in self.scan.originals(channel))
            else:
                yield from self._channel(channel, normalisation, beside, told)
            told(1.0)

    def _channel(
        self,
        channel: int,
        normalisation: Normalisation,
        beside: Path,
        told: Callable[[float], None],
    ) -> Planes:
        level = self._level(channel)
        restores = bool(self.denoiser.inference.restore)
        kept = _Samples(self.scan.shape) if restores else None
        kind = self.scan.head.array.dtype

        def given() -> Iterator:
            done = 0
            for part, mask in ahead(self._filled(channel)):
                if kept is not None:
                    kept.take(part, mask, done)
                done += part.shape[2]
                yield as_input(part, normalisation, level)

        parts = (
            in_units(part, normalisation, kind)
            for part in self.denoiser.compute.planes(
                self.scan.shape,
                given,
                inputs=1 if level is None else 2,
                lean=True,
                progress=lambda done: told(done * (0.9 if restores else 1)),
            )
        )
        clean = parts if kept is None else self._restored(parts, channel, beside, kept)
        yield from self._finished(clean, channel)

    def _filled(
        self, channel: int
    ) -> Iterator[tuple[NDArray[np.floating], NDArray[np.bool_] | None]]:
        """What the network gets, before it is normalised: the mean where there is no number.

        With it, where there is one; ``None`` for everywhere.
        """
        for part in self.scan.planes(channel):
            values = self._forward(part, channel)
            finite = np.isfinite(values) if self.sums[channel].missing else None
            if finite is not None:
                mean = values.dtype.type(self.sums[channel].mean)
                values = np.where(finite, values, mean)
            yield values, finite

    def _restored(self, parts: Planes, channel: int, beside: Path, kept: _Samples) -> Planes:
        """Restored from the residual, by way of a file of what the network gave."""
        shape, kind = self.scan.shape, np.dtype(np.float32)
        try:
            spill = tempfile.TemporaryFile(dir=beside)  # noqa: SIM115  (closed below)
        except OSError as fault:
            raise OutputError(f"{beside} cannot be written to: {fault.strerror}.") from fault
        with spill:
            try:
                for part in parts:
                    spill.write(np.ascontiguousarray(part.transpose(), kind).data)
                spill.flush()
            except OSError as fault:
                raise OutputError(
                    f"{beside} has no room for the scan in float32 beside the result, which "
                    f"restoring from the residual takes ({fault.strerror}): free some, or use a "
                    "model with inference.restore false."
                ) from fault
            try:
                curve = kept.curve(lambda first, last: _reread(spill, shape, first, last))
            except ParameterError as fault:
                warnings.warn(f"The residual was not looked at. {fault}", stacklevel=2)
                yield from (part for _, part, _ in self._pairs(channel, spill))
                return
            yield from restored_planes(self._pairs(channel, spill), shape, curve)

    def _pairs(self, channel: int, spill: BinaryIO) -> Iterator:
        done = 0
        for part, mask in ahead(self._filled(channel)):
            count = part.shape[2]
            clean = _reread(spill, self.scan.shape, done, done + count)
            yield part, clean.astype(part.dtype, copy=False), mask
            done += count

    def _finished(self, parts: Planes, channel: int) -> Planes:
        """Brought back from the stabilisation, and with what was no number as it was."""
        before = Originals(self.scan.originals(channel)) if self.sums[channel].missing else None
        for part in parts:
            values = part
            if self.around.stabilisers[channel] is not None:
                values = self.around.inverse(part, channel)
            values = values.astype(self.scan.head.array.dtype, copy=False)
            if before is not None:
                original, measured = before.next(part.shape[2])
                values = np.where(measured, values, original)
            yield values


def _reread(
    spill: BinaryIO, shape: tuple[int, int, int], first: int, last: int
) -> NDArray[np.float32]:
    """``(X, Y, n)`` planes of the file."""
    x, y, _ = shape
    spill.seek(first * x * y * 4)
    data = np.empty((last - first, y, x), np.float32)
    if spill.readinto(data.data) != data.nbytes:  # type: ignore[attr-defined]
        raise ModelError("The file between network and result ends too early.")
    return data.transpose(2, 1, 0)


class _Samples:
    """The noisy slabs that the noise is estimated from, kept as they pass."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.places = sampled_planes(shape)
        self._depth = shape[2]
        self._noisy: list[list[NDArray[np.floating]]] = [[] for _ in self.places]
        self._known: list[list[NDArray[np.bool_]]] = [[] for _ in self.places]

    def take(self, part: NDArray[np.floating], mask: NDArray[np.bool_] | None, first: int) -> None:
        """Planes from ``first`` on pass."""
        for (_, rows, depth), kept, known in zip(
            self.places, self._noisy, self._known, strict=True
        ):
            begin, end, _ = depth.indices(self._depth)
            if first == 0:
                kept.clear()  # the pass began anew
                known.clear()
            low, high = max(begin - first, 0), min(end - first, part.shape[2])
            if low < high:
                kept.append(part[:, rows, low:high].copy())
                here = np.ones_like(kept[-1], bool) if mask is None else mask[:, rows, low:high]
                known.append(here)

    def curve(self, clean: Callable[[int, int], NDArray[np.floating]]) -> NoiseCurve:
        """The curve, with the network's planes from ``clean(first, last)``."""
        noisy = [np.concatenate(kept, axis=2) for kept in self._noisy]
        found = []
        for _, rows, depth in self.places:
            begin, end, _ = depth.indices(self._depth)
            found.append(clean(begin, end)[:, rows])
        known = [np.concatenate(masks, axis=2) for masks in self._known]
        return curve_of_samples(noisy, found, known)
