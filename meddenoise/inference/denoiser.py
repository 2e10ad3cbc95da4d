"""Runs a trained network over whole scans."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meddenoise._version import __version__
from meddenoise.config import InferenceConfig, NormaliseConfig
from meddenoise.devices import choose_device, fast_layout
from meddenoise.errors import ModelError
from meddenoise.inference.model_file import file_hash, load_model, save_model
from meddenoise.inference.tiles import plan_tiles
from meddenoise.transforms.normalisation import Normalisation
from meddenoise.volume import Volume

__all__ = ["Denoiser"]


class Denoiser:
    """A network and all that is needed to run it on a scan in the scan's own units.

    Args:
        network: maps ``(B, 1, *spatial)`` to the same shape in normalised intensities.
        dims: 2 or 3. A 2-D network denoises a volume slice by slice along its last axis.
        normalise: how intensities were normalised in training.
        inference: tiles, overlap, flips.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        info: the description that travels with the weights.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        dims: int = 3,
        normalise: NormaliseConfig | None = None,
        inference: InferenceConfig | None = None,
        device: str | torch.device = "auto",
        info: Mapping[str, Any] | None = None,
    ) -> None:
        self.device = choose_device(device)
        self.network = fast_layout(network.to(self.device).eval(), dims)
        self.dims = dims
        self.normalise = normalise or NormaliseConfig()
        self.inference = inference or InferenceConfig()
        self.info = dict(info or {})
        self.name = "a model in memory"

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        network: nn.Module | None = None,
        device: str | torch.device = "auto",
    ) -> Denoiser:
        """The denoiser in a model file.

        Raises:
            ModelError: see :func:`meddenoise.inference.model_file.load_model`.
        """
        network, info = load_model(path, network)
        denoiser = cls(
            network,
            dims=int(info["network"]["dims"]),
            normalise=NormaliseConfig(**info["normalise"]),
            inference=InferenceConfig(**info.get("inference", {})),
            device=device,
            info=info,
        )
        denoiser.name = f"{Path(path).name} {file_hash(path)}"
        return denoiser

    def save(self, path: str | Path) -> Path:
        """Write weights and description to a model file."""
        info = {
            **self.info,
            "normalise": self.normalise.model_dump(mode="json"),
            "inference": self.inference.model_dump(mode="json"),
        }
        if "network" not in info:
            raise ModelError("A network needs a name to be saved: give info['network'].")
        return save_model(path, self.network, info)

    def __call__(
        self, volume: Volume, *, progress: Callable[[float], None] | None = None
    ) -> Volume:
        """The denoised scan: same grid, same units, same header.

        Non-finite and padding voxels are filled for the network and put back as they were.
        Each channel of a 4-D scan is denoised by itself.

        Args:
            volume: the scan.
            progress: called with the finished fraction.

        Raises:
            ModelError: a 3-D network on a 2-D image.
        """
        if volume.dims < self.dims:
            raise ModelError(
                f"This model denoises {self.dims}-D scans and the image is {volume.dims}-D: "
                f"use a model trained on {volume.dims}-D images."
            )
        valid = volume.valid
        out = volume.array.copy()
        for channel in range(volume.channels):
            inside = valid[channel]
            if inside.any():
                share = _share(progress, channel, volume.channels)
                clean = self.denoise_array(volume.array[channel], inside, progress=share)
                out[channel] = np.where(inside, clean, volume.array[channel])
        note = f"meddenoise {__version__} denoised with {self.name}"
        return volume.with_array(out, note=note)

    def denoise_array(
        self,
        array: NDArray[np.floating],
        valid: NDArray[np.bool_] | None = None,
        *,
        progress: Callable[[float], None] | None = None,
    ) -> NDArray[np.floating]:
        """``(X, Y)`` or ``(X, Y, Z)`` in the scan's units, denoised.

        Args:
            array: the intensities.
            valid: which voxels were measured; the others are filled with the mean.
            progress: called with the finished fraction.
        """
        values = array if valid is None or valid.all() else array[valid]
        normalisation = Normalisation.fit(values, **self.normalise.model_dump())
        x = np.asarray(normalisation.apply(array), dtype=np.float32)
        if valid is not None and not valid.all():
            x = np.where(valid, x, x[valid].mean(dtype=np.float64)).astype(np.float32)
        with torch.inference_mode():
            if x.ndim > self.dims:
                y = np.empty_like(x)
                for k in range(x.shape[-1]):
                    y[..., k] = self._run(torch.from_numpy(x[..., k])).numpy()
                    if progress:
                        progress((k + 1) / x.shape[-1])
            else:
                y = self._run(torch.from_numpy(x), progress).numpy()
        restored = (
            normalisation.invert(y.astype(np.float64))
            if array.dtype == np.float64
            else (normalisation.invert(y))
        )
        return np.asarray(restored, dtype=array.dtype)

    def _run(self, x: Tensor, progress: Callable[[float], None] | None = None) -> Tensor:
        """``(*spatial)`` normalised on the CPU, tile by tile through the network."""
        plan = plan_tiles(
            x.shape,
            halo=getattr(self.network, "halo", (16,) * x.ndim),
            tile=self.inference.tile,
            voxels=self.inference.tile_voxels,
            overlap=self.inference.overlap,
        )
        total = torch.zeros(x.shape)
        weight = torch.zeros(x.shape) if len(plan) > 1 else None
        for done, where in enumerate(plan, start=1):
            y = self._forward(x[where].to(self.device)[None, None])[0, 0].float().cpu()
            if weight is None:
                return y
            w = plan.weights(where)
            total[where] += w * y
            weight[where] += w
            if progress:
                progress(done / len(plan))
        return total if weight is None else total / weight

    def _forward(self, x: Tensor) -> Tensor:
        """``(1, 1, *spatial)``; with flips, the mean over all mirrored copies."""
        if not self.inference.flips:
            return self.network(x)
        axes = range(2, x.ndim)
        mirrors = [c for n in range(len(axes) + 1) for c in itertools.combinations(axes, n)]
        total = torch.zeros_like(x)
        for mirror in mirrors:
            total += self.network(x.flip(mirror)).float().flip(mirror)
        return total / len(mirrors)


def _share(
    progress: Callable[[float], None] | None, part: int, parts: int
) -> Callable[[float], None] | None:
    if progress is None:
        return None
    return lambda done: progress((part + done) / parts)
