"""Runs a trained network over whole scans."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from meddenoise._version import __version__
from meddenoise.config import InferenceConfig, NormaliseConfig, StabiliseConfig
from meddenoise.config.load import validated
from meddenoise.devices import choose_device
from meddenoise.errors import ConfigError, ModelError, ParameterError
from meddenoise.hashing import file_hash
from meddenoise.inference.compute import Compute, Second
from meddenoise.inference.export import exported
from meddenoise.inference.model_file import load_model, save_model
from meddenoise.inference.planes import as_image, as_level, through
from meddenoise.inference.restore import restore
from meddenoise.inference.stabilised import stabilisation_around
from meddenoise.inference.sums import Sums
from meddenoise.noise.scan_level import scan_sigma
from meddenoise.noise.stabilise import Stabilisation
from meddenoise.volume import Volume, single_slice

__all__ = ["Denoiser"]


class Denoiser:
    """A network and all that is needed to run it on a scan in the scan's own units.

    Args:
        network: maps ``(B, 1, *spatial)`` to the same shape in normalised intensities, or with a
            noise map ``(B, 2, *spatial)`` to ``(B, 1, *spatial)``.
        dims: 2 or 3. A 2-D network denoises a volume slice by slice along its last axis, and one of
            a single slice as that image, along whatever axis it lies.
        normalise: how intensities were normalised in training.
        inference: tiles, overlap, flips, and whether to restore from the residual (null: no).
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        info: the description that travels with the weights.
        noise_map: the network gets the noise's level as a second channel.
        stabilise: how the noise of the scans was stabilised that the network learned from. It then
            gets each scan stabilised by the scan's own noise, and its result is brought back
            without bias.

    Raises:
        ConfigError: ``inference.tile`` has another number of axes.
        ParameterError: the network has, or the device lacks the precision.
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
        noise_map: bool = False,
        stabilise: StabiliseConfig | None = None,
    ) -> None:
        self.device = choose_device(device)
        network, self.info = exported(network, info or {})
        self.network = network
        self.dims = dims
        self.normalise = normalise or NormaliseConfig()
        self.inference = inference or InferenceConfig()
        tile = self.inference.tile
        if tile is not None and len(tile) != dims:
            raise ConfigError(f"inference.tile has {len(tile)} axes and the network {dims}.")
        inputs = 2 if noise_map else 1
        self.compute = Compute(network, dims, self.device, self.inference, inputs)
        self.noise_map = noise_map
        self.stabilise = stabilise or StabiliseConfig()
        self.name = "a model in memory"

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        network: nn.Module | None = None,
        device: str | torch.device = "auto",
        inference: Mapping[str, Any] | None = None,
    ) -> Denoiser:
        """The denoiser in a model file.

        Args:
            path: the model file.
            network: the module to take the weights, if no registry knows it.
            device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
            inference: what is to be other than the file says: ``{"precision": "bf16"}``.

        Raises:
            ConfigError: no such setting of :class:`~meddenoise.config.InferenceConfig`.
            ModelError: see :func:`meddenoise.inference.model_file.load_model`.
        """
        network, info = load_model(path, network)
        try:
            normalise = NormaliseConfig(**info["normalise"])
            settings = InferenceConfig(**info.get("inference", {}))
            stabilise = StabiliseConfig(**info.get("stabilise", {}))
        except ValidationError as fault:
            keys = ", ".join(".".join(map(str, error["loc"])) for error in fault.errors())
            raise ModelError(f"{path} has a description that makes no sense: {keys}.") from None
        if inference:
            asked = {**settings.model_dump(), **inference}
            settings, _ = validated(InferenceConfig, asked, file="inference")
        denoiser = cls(
            network,
            dims=info["network"]["dims"],
            normalise=normalise,
            inference=settings,
            device=device,
            info=info,
            noise_map=info["network"].get("inputs", 1) == 2,
            stabilise=stabilise,
        )
        denoiser.name = f"{Path(path).name} {file_hash(path)}"
        return denoiser

    def save(self, path: str | Path) -> Path:
        """Write weights and description to a model file."""
        info = {
            **self.info,
            "normalise": self.normalise.model_dump(mode="json"),
            "inference": self.inference.model_dump(mode="json"),
            "stabilise": self.stabilise.model_dump(mode="json"),
        }
        if "network" not in info:
            raise ModelError("A network needs a name to be saved: give info['network'].")
        if self.noise_map:
            info["network"] = {**info["network"], "inputs": 2}
        return save_model(path, self.network, info)

    def __call__(
        self,
        volume: Volume,
        *,
        sigma: float | NDArray[np.floating] | None = None,
        stabilise: str | None = None,
        coils: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Volume:
        """The denoised scan: same grid, same units, same header; X fastest in memory, as in files.

        Non-finite and padding voxels are filled for the network and put back as they were.
        Each channel of a 4-D scan is denoised by itself.

        Args:
            volume: the scan.
            sigma: for a model with a noise map: the noise's standard deviation in the scan's units,
                one number or a map of its spatial shape; estimated from each channel if None. Of
                Rician noise that is stabilised, one number.
            stabilise: ``"auto"``, ``"rician"`` or ``"anscombe"``, for a model that was trained on
                scans as they are; any other has its own.
            coils: whose sum of squares the magnitude is that is stabilised.
            progress: called with the finished fraction.

        Raises:
            ModelError: a 3-D network on a 2-D image; another stabilisation than the model's own.
            ParameterError: a sigma for a model with neither noise map nor stabilisation, an
                impossible one, or one that cannot be estimated; a stabilisation that does not fit
                the scan.
        """
        self.check_fits(volume)
        around = stabilisation_around(
            volume, self.stabilise, sigma=sigma, asked=stabilise, coils=coils
        )
        valid = volume.valid
        out: NDArray[np.floating] | None = None
        if volume.channels > 1:
            out = _like_files(volume.array.shape, volume.array.dtype)
        for channel in range(volume.channels):
            inside = valid[channel]
            noisy = volume.array[channel]
            if not inside.any():
                clean = noisy.copy()
            else:
                share = _share(progress, channel, volume.channels)
                level = sigma
                if around.method != "none":
                    level = 1.0 if self.noise_map else None
                elif self.noise_map and sigma is None and np.ptp(noisy[inside]) > 0:
                    level = scan_sigma(volume, channel)
                clean = self._stabilised(noisy, inside, around, channel, level, share)
                if not inside.all():
                    np.copyto(clean, noisy, where=~inside)
            if out is None and clean.flags.f_contiguous:
                out = clean[None]  # just made: not copied
            else:
                if out is None:
                    out = _like_files(volume.array.shape, volume.array.dtype)
                out[channel] = clean
            if progress:
                progress((channel + 1) / volume.channels)
        assert out is not None  # no scan is without a channel
        return volume.with_array(out, note=self.note(around))

    def note(self, around: Stabilisation) -> str:
        """A line of history for a result."""
        stabilised = "" if around.method == "none" else f", stabilised as {around.noise}"
        return f"meddenoise {__version__} denoised with {self.name}{stabilised}"

    def check_fits(self, volume: Volume) -> None:
        """Raise unless the network can be run over a scan of so many axes.

        Raises:
            ModelError: a 3-D network and a 2-D image.
            ParameterError: it is no volume.
        """
        if not isinstance(volume, Volume):
            raise ParameterError(
                f"A scan is a Volume, not {type(volume).__name__}: give Volume.from_array(array)."
            )
        if volume.dims < self.dims:
            raise ModelError(
                f"This model denoises {self.dims}-D scans and the image is {volume.dims}-D: "
                f"use a model trained on {volume.dims}-D images."
            )

    def denoise_array(
        self,
        array: NDArray[np.floating],
        valid: NDArray[np.bool_] | None = None,
        *,
        sigma: float | NDArray[np.floating] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> NDArray[np.floating]:
        """``(X, Y)`` or ``(X, Y, Z)`` in the scan's units, denoised.

        A constant image (a blank time point) has no noise, and comes back as it is.

        Args:
            array: the intensities; all but float64 come back as float32, whole numbers as float64
                if that is too narrow for them.
            valid: which voxels were measured, of those that are finite; the others are filled with
                the mean for the network. What is not finite, or what a masked array masks, comes
                back as it is.
            sigma: as for a call; estimated from what is valid if None.
            progress: called with the finished fraction.

        Raises:
            ParameterError: no contrast to normalise by, though the image is not constant; no image
                of two or three axes; or as for a call.
            ModelError: the network gives another shape, or numbers that are not finite.
        """
        masked = np.ma.getmaskarray(array) if np.ma.is_masked(array) else False
        array, valid = as_image(array, valid)
        if self.stabilise.method == "none":
            clean = self._plain(array, valid, sigma, progress)
        else:
            known = array if valid is None else np.where(valid, array, np.nan)
            around = stabilisation_around(Volume.from_array(known), self.stabilise, sigma=sigma)
            level = 1.0 if self.noise_map else None
            clean = self._stabilised(array, valid, around, 0, level, progress)
        if valid is not None:
            np.copyto(clean, array, where=~np.isfinite(array) | masked)
        return clean

    def _stabilised(
        self,
        array: NDArray[np.floating],
        valid: NDArray[np.bool_] | None,
        around: Stabilisation,
        channel: int,
        sigma: float | NDArray[np.floating] | None,
        progress: Callable[[float], None] | None,
    ) -> NDArray[np.floating]:
        """A channel, denoised between the stabilisation and its inverse."""
        if around.stabilisers[channel] is None:
            return self._plain(array, valid, sigma, progress)
        if valid is not None and not valid.all():
            array = np.where(valid, array, array[valid].mean(dtype=np.float64)).astype(array.dtype)
        clean = self._plain(around.forward(array, channel), valid, sigma, progress)
        return around.inverse(clean, channel)

    def _plain(
        self,
        array: NDArray[np.floating],
        valid: NDArray[np.bool_] | None,
        sigma: float | NDArray[np.floating] | None,
        progress: Callable[[float], None] | None,
    ) -> NDArray[np.floating]:
        """As :meth:`denoise_array`, of what the network gets, stabilised or not."""
        axis = single_slice(array.shape)
        if self.dims == 2 and axis is not None:
            # Slices along the last axis would be rows of the image, one voxel wide.
            known = None if valid is None else valid.squeeze(axis)
            if isinstance(sigma, np.ndarray) and sigma.shape == array.shape:
                sigma = sigma.squeeze(axis)
            return np.expand_dims(self._plain(array.squeeze(axis), known, sigma, progress), axis)
        measured = None if valid is None or bool(valid.all()) else valid
        values = array if measured is None else array[measured]
        sums = Sums.of([values])
        if sums.blank:
            return array.copy()
        normalisation = sums.normalisation(values, **self.normalise.model_dump())
        filled = array
        if measured is not None:
            filled = np.where(measured, array, array.dtype.type(sums.mean))
        level = self._level(array, measured, sigma)
        if array.ndim == 2:
            flat = None if level is None else level[..., None] if level.ndim else level
            clean = through(self.compute.planes, filled[..., None], normalisation, flat, progress)[
                ..., 0
            ]
        else:
            clean = through(self.compute.planes, filled, normalisation, level, progress)
        if not self.inference.restore:
            return clean
        try:
            return restore(filled, clean, measured)
        except ParameterError as fault:
            warnings.warn(f"The residual was not looked at. {fault}", stacklevel=2)
            return clean

    def _level(
        self,
        array: NDArray[np.floating],
        measured: NDArray[np.bool_] | None,
        sigma: float | NDArray[np.floating] | None,
    ) -> NDArray[np.floating] | None:
        """What goes into the noise map, in the scan's units; ``None`` if there is no such map."""
        if not self.noise_map:
            if sigma is not None:
                raise ParameterError(
                    "sigma is for a model with a noise map (trainer.noise_map) or with a "
                    "stabilisation (noise.stabilise), and this has none."
                )
            return None
        if sigma is None:
            known = array if measured is None else np.where(measured, array, np.nan)
            sigma = scan_sigma(Volume.from_array(known))
        return as_level(sigma, array.shape).astype(np.float32)

    def run(
        self,
        x: Tensor,
        progress: Callable[[float], None] | None = None,
        *,
        second: Second | None = None,
        flips: bool = False,
    ) -> Tensor:
        """The network over one normalised image ``(1, C, *spatial)`` on the CPU: ``(1, *spatial)``.

        It is padded first to the network's coarsest grid, so that mirrored copies and tiles all lie
        on it in the same way. ``second`` and ``flips`` as for :meth:`Compute.planes`.
        """
        flat = x[0] if x.ndim == 5 else x[0].unsqueeze(-1)
        y = torch.empty(flat.shape[1:])
        done = 0
        for part in self.compute.planes(
            flat.shape[1:],
            lambda: iter(flat.movedim(-1, 0).split(_planes_a_part(flat.shape[1:]))),
            inputs=len(flat),
            second=second,
            flips=flips,
            progress=progress,
        ):
            y[..., done : done + len(part)] = part.movedim(0, -1)
            done += len(part)
        return (y if x.ndim == 5 else y[..., 0])[None]


def _like_files(shape: Sequence[int], dtype: np.dtype) -> NDArray[np.floating]:
    """``(C, X, Y)`` or ``(C, X, Y, Z)``, nothing in it yet; voxels as in files, X fastest."""
    out = np.empty((shape[0], *shape[:0:-1]), dtype)
    return out.transpose(0, *range(out.ndim - 1, 0, -1))


def _planes_a_part(shape: Sequence[int]) -> int:
    return max(1, 2**20 // (shape[0] * shape[1]))


def _share(
    progress: Callable[[float], None] | None, part: int, parts: int
) -> Callable[[float], None] | None:
    if progress is None:
        return None
    return lambda done: progress((part + done) / parts)
