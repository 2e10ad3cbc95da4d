"""The shipped network around a scan: into units of the noise, through the network, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from meddenoise.devices import has_fast_bf16
from meddenoise.inference import Denoiser
from meddenoise.pretrained.weights import shipped_weights

__all__ = ["ReadyDenoiser"]

# Up to that many standard deviations from the mean, eight bits of mantissa are exact to less than
# a tenth of the noise.
_EXACT_ENOUGH = 60.0


class ReadyDenoiser:
    """A network for images in units of their noise.

    Args:
        denoiser: holds the network; trained by :func:`meddenoise.workflows.pretrain.pretrain`.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser

    @classmethod
    def load(
        cls,
        dims: int = 3,
        device: str | torch.device = "auto",
        inference: Mapping[str, Any] | None = None,
    ) -> ReadyDenoiser:
        """The one that ships with the package.

        Args:
            dims: of the scans.
            device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
            inference: how it is run, where otherwise than the model file says.

        Raises:
            ModelError: see :func:`meddenoise.pretrained.shipped_weights`.
            ConfigError: see :meth:`meddenoise.Denoiser.load`.
        """
        file = shipped_weights(dims)
        return cls(Denoiser.load(file, device=device, inference=dict(inference or {})))

    @property
    def network(self) -> nn.Module:
        """The network itself."""
        return self.denoiser.network

    @property
    def name(self) -> str:
        """For people: the file and its hash."""
        return f"the network that ships with it ({self.denoiser.name})"

    def __call__(
        self,
        array: NDArray[np.floating],
        valid: NDArray[np.bool_] | None = None,
        *,
        exact: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> NDArray[np.float32]:
        """Denoises.

        Args:
            array: ``(X, Y, Z)`` (or ``(X, Y)``, as the network has it), with noise of standard
                deviation 1; its mean may be anything.
            valid: bool, the voxels that were measured; the others are filled with their mean.
            exact: compute in float32 in any case; else in bfloat16 where that is faster and the
                image has no intensities of which it would round off more than the noise allows.
            progress: called with the finished fraction.

        Returns:
            float32 of the same shape.
        """
        measured = array if valid is None else array[valid]
        zero = float(measured.mean(dtype=np.float64))
        centred = (array - zero).astype(np.float32)
        if valid is not None and not valid.all():
            centred[~valid] = 0
        fast = has_fast_bf16(self.denoiser.device) and not exact
        fast = fast and float(np.abs(centred).max()) < _EXACT_ENOUGH
        kind = self.denoiser.device.type
        rounding = torch.autocast(kind, torch.bfloat16) if fast else nullcontext()
        with torch.inference_mode(), rounding:
            found = self.denoiser.run(torch.from_numpy(centred)[None, None], progress)[0]
        result: NDArray[np.float32] = found.float().numpy() + np.float32(zero)
        return result
