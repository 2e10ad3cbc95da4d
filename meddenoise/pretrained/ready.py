"""The shipped network around a scan: into units of the noise, through the network, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meddenoise._version import __version__
from meddenoise.devices import has_fast_bf16
from meddenoise.inference import Denoiser
from meddenoise.inference.compute import Second
from meddenoise.inference.sums import Sums
from meddenoise.pretrained.weights import shipped_weights

__all__ = ["ReadyDenoiser"]

# Up to that many standard deviations from the mean, a U-Net with eight bits of mantissa (all around
# it is float32) leaves a result within a tenth of the noise of the exact one, and in the root mean
# square within 0.4 %.
_EXACT_ENOUGH = 250.0


class ReadyDenoiser:
    """A network for images in units of their noise.

    Args:
        denoiser: holds the network; trained by :func:`meddenoise.workflows.pretrain.pretrain`.
        as_told: compute in the precision of the denoiser's settings, which somebody asked for,
            whatever is fast here.
    """

    def __init__(self, denoiser: Denoiser, *, as_told: bool = False) -> None:
        self.denoiser, self._as_told = denoiser, as_told

    @classmethod
    def load(
        cls,
        dims: int = 3,
        device: str | torch.device = "auto",
        inference: Mapping[str, Any] | None = None,
    ) -> ReadyDenoiser:
        """The one that ships with the package.

        It is loaded once a process for the same words, and shared: neither change nor train it.

        Args:
            dims: of the scans.
            device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
            inference: how it is run, where otherwise than the model file says.

        Raises:
            ModelError: see :func:`meddenoise.pretrained.shipped_weights`.
            ConfigError: see :meth:`meddenoise.Denoiser.load`.
        """
        file, options = shipped_weights(dims), dict(inference or {})
        as_told = "precision" in options
        try:
            told = json.dumps(options, sort_keys=True)
        except TypeError:  # which is told of below
            return cls(Denoiser.load(file, device=device, inference=options), as_told=as_told)
        return cls(_loaded(file, file.stat().st_mtime_ns, str(device), told), as_told=as_told)

    @property
    def network(self) -> nn.Module:
        """The network itself."""
        return self.denoiser.network

    @property
    def name(self) -> str:
        """For people: the file and its hash."""
        return f"the network that ships with it ({self.denoiser.name})"

    @property
    def note(self) -> str:
        """A line of history for a result."""
        return f"meddenoise {__version__} denoised with {self.name}"

    def __call__(
        self,
        array: NDArray[np.floating],
        valid: NDArray[np.bool_] | None = None,
        *,
        exact: bool = False,
        second: Second | None = "negative",
        flips: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> NDArray[np.float32]:
        """Denoises.

        Args:
            array: ``(X, Y, Z)`` (or ``(X, Y)``, as the network has it), with noise of standard
                deviation 1; its mean may be anything.
            valid: bool, the voxels that were measured; the others are filled with their mean.
            exact: compute in float32 in any case; else in bfloat16 where that is faster and the
                image has no intensities of which it would round off more than the noise allows.
            second: a second pass, its blocks one voxel further on each axis, in twice the time:
                0.13 to 0.19 dB better in the middle of heads. ``"negative"`` takes that of the
                negative image, so that the result (but for a rim of two or three voxels, where one
                pass counts) is no brighter or darker than the scan where there is noise alone; one
                pass is brighter there by 0.6 % of the noise, and by 3 % where that is correlated,
                for which the network was not made. ``"shifted"`` does not: around a stabilisation,
                whose noise leans to one side in the dark, as the network knows.
            flips: the mean over the mirror images, in eight times the time (2-D: four): 0.07 dB
                better.
            progress: called with the finished fraction.

        Returns:
            float32 of the same shape.
        """
        measured = array if valid is None else array[valid]
        zero = float(measured.mean(dtype=np.float64))
        centred = (array - zero).astype(np.float32)
        if valid is not None and not valid.all():
            centred[~valid] = 0
        rounding = self._rounding(float(np.abs(centred).max()), exact=exact)
        with torch.inference_mode(), rounding():
            found = self.denoiser.run(
                torch.from_numpy(centred)[None, None], progress, second=second, flips=flips
            )[0]
        result: NDArray[np.float32] = found.float().numpy() + np.float32(zero)
        return result

    def planes(
        self,
        shape: Sequence[int],
        parts: Callable[[], Iterator[NDArray[np.floating]]],
        sums: Sums,
        *,
        second: Second | None = "negative",
        progress: Callable[[float], None] | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """As a call, of a scan that comes and goes in parts of some planes.

        Args:
            shape: ``(X, Y, Z)`` of all.
            parts: begins to give parts ``(X, Y, n)``; what was not measured is no number.
            sums: of all parts.
            second: as there.
            progress: called with the finished fraction.

        Yields:
            ``(X, Y, n)`` float32, in order.
        """
        zero = sums.mean
        rounding = self._rounding(max(sums.high - zero, zero - sums.low))

        def given() -> Iterator[Tensor]:
            for part in parts():
                centred = (part - zero).astype(np.float32).transpose(2, 0, 1)
                centred = np.where(np.isfinite(centred), centred, np.float32(0))
                yield torch.from_numpy(np.ascontiguousarray(centred)[:, None])

        found = self.denoiser.compute.planes(
            shape, given, lean=True, second=second, progress=progress
        )
        while True:
            # Around each step, so that whoever takes the planes is not in it.
            with torch.inference_mode(), rounding():
                part = next(found, None)
            if part is None:
                return
            yield part.float().numpy().transpose(1, 2, 0) + np.float32(zero)

    def _rounding(
        self, farthest: float, *, exact: bool = False
    ) -> Callable[[], AbstractContextManager[object]]:
        """In what the network computes, for values so far from their mean."""
        device = self.denoiser.device
        if exact or self._as_told or farthest >= _EXACT_ENOUGH or not has_fast_bf16(device):
            return nullcontext
        return lambda: torch.autocast(device.type, torch.bfloat16)


@lru_cache(maxsize=4)
def _loaded(file: Path, changed: int, device: str, options: str) -> Denoiser:
    """A call costs a tenth of a second, which a small scan takes as well."""
    return Denoiser.load(file, device=device, inference=json.loads(options))
