"""A small network that corrects what a filter makes of a scan, learnt from recorruptions of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meddenoise.config import InferenceConfig, TrainingConfig
from meddenoise.data.draws import Draws, seeded
from meddenoise.data.patches import Batch, Item, PatchSampler
from meddenoise.devices import choose_device
from meddenoise.inference import Denoiser
from meddenoise.networks import build_network
from meddenoise.training.bounds import Bounds
from meddenoise.training.engine import Engine
from meddenoise.training.recorruption import Copy
from meddenoise.training.trainer import Trainer

__all__ = ["Corrector", "passing"]

Image = NDArray[np.float32]
Progress = Callable[[float], None]

# Of the time that is left, the mean over mirror images may take that share; or there is but one
# image.
_MIRRORING = 0.3
_PATCH = {2: (96, 96), 3: (64, 64, 32)}
_BATCH = {2: 8, 3: 1}
# Over the part that is seen. With many more it learns the noise there: ten minutes on 0.3 Mvoxel
# were no better than the filter on the part held out, and one minute 0.3 dB.
_PASSES = 60
_LOOP = {"learning_rate": 2e-3, "ema": 0.99, "validate_every": 10**9, "checkpoint_every": 10**9}


@dataclass(frozen=True, eq=False)
class Corrector:
    """A U-Net of two levels, which gets the filtered and the noisy image; at first the identity.

    Attributes:
        shift, scale: of intensities, as the network sees them.
        spacing: voxel size in mm per axis.
        bounds: of a correction, in the network's units.
        seed: of its first weights and of training.
        device: for it.
    """

    shift: float
    scale: float
    spacing: Sequence[float]
    bounds: Bounds
    seed: int
    device: str

    @classmethod
    def of(
        cls,
        noisy: Image,
        *,
        sigma: float,
        floor: float | None,
        spacing: Sequence[float],
        seed: int,
        device: str,
    ) -> Corrector:
        """For a scan: see :func:`meddenoise.training.refine.refine`."""
        shift, scale = float(noisy.mean(dtype=np.float64)), float(noisy.std(dtype=np.float64))
        low = -math.inf if floor is None else (floor - shift) / scale
        return cls(shift, scale, spacing, Bounds(low, sigma / scale), seed, device)

    def untrained(self, dims: int) -> nn.Module:
        """The identity. A thick slice axis is left alone between the levels."""
        strides = [[2 if size < 2 * min(self.spacing) else 1 for size in self.spacing[:dims]]]
        with seeded(self.seed):
            return build_network(
                "unet", dims=dims, inputs=2, channels=[16, 32], strides=strides, residual=True
            )

    def corrected(self, filtered: Image, noisy: Image, network: nn.Module, flips: bool) -> Image:
        """What the network makes of a filtered image."""
        denoiser = Denoiser(
            network,
            dims=noisy.ndim,
            inference=InferenceConfig(flips=flips),
            device=self.device,
        )
        both = (np.stack([filtered, noisy]) - np.float32(self.shift)) / np.float32(self.scale)
        x = torch.from_numpy(both)[None].float()
        with torch.inference_mode():
            y = self.bounds.keep(x[:, :1], denoiser.run(x)[None])[0, 0].numpy()
        return np.asarray(y * np.float32(self.scale) + np.float32(self.shift))

    def seconds(self, held: Copy, voxels: int) -> float:
        """What a pass over the whole scan takes, and over the part that is held out.

        Args:
            held: that part, which is passed over to see.
            voxels: of the scan.
        """
        network = self.untrained(held.noisier.ndim)
        # The first time sets things up, on a GPU for seconds.
        self.corrected(held.filtered, held.noisier, network, False)
        began = time.perf_counter()
        self.corrected(held.filtered, held.noisier, network, False)
        return (time.perf_counter() - began) * (1 + voxels / held.noisier.size)

    def trained(
        self,
        copies: Sequence[Copy],
        *,
        voxels: int,
        seconds: float,
        progress: Progress | None,
    ) -> tuple[nn.Module, int]:
        """The network after training, and its steps.

        Args:
            copies: what it learns from, all of one shape.
            voxels: of the part of the scan that they were made of: it goes over them 60 times.
            seconds: that it may take.
            progress: called with the finished fraction.
        """
        shape = copies[0].noisier.shape
        dims = len(shape)
        patch = [min(p, n) for p, n in zip(_PATCH[dims], shape, strict=True)]

        def sampler(name: str) -> PatchSampler:
            return PatchSampler([self._item(copy, name) for copy in copies], patch)

        result = Engine(
            _Learning(sampler("filtered").to(choose_device(self.device)), self.bounds, progress),
            self.untrained(dims),
            sampler("noisier"),
            settings=TrainingConfig(
                steps=_steps(voxels, patch),
                max_minutes=seconds / 60,
                trackers=[],
                **_LOOP,  # type: ignore[arg-type]
            ),
            batch=_BATCH[dims],
            seed=self.seed,
            device=self.device,
            progress=False,
        ).run()
        return result.network, result.steps

    def _item(self, copy: Copy, name: str) -> Item:
        return Item(
            image=torch.from_numpy(np.ascontiguousarray(getattr(copy, name))),
            target=torch.from_numpy(copy.target) if name == "noisier" else None,
            shift=self.shift,
            scale=self.scale,
            spacing=tuple(self.spacing)[: copy.target.ndim],
        )


class _Learning(Trainer):
    """Learns y2 from y1 and the filtered y1."""

    needs_target = True
    target_is_clean = False

    def __init__(self, guides: PatchSampler, bounds: Bounds, progress: Progress | None) -> None:
        self.guides = guides
        self.bounds = bounds
        self.report = progress

    @property
    def inputs(self) -> int:
        """The filtered image, and the noisy one."""
        return 2

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The squared error to y2."""
        assert batch.target is not None  # needs_target
        # The same draws choose the same places in scans of the same shapes.
        filtered = self.guides.draw(draws).image
        output = network(torch.cat([filtered, batch.image], dim=1)).float()
        output = self.bounds.keep(filtered, output)
        if self.report and torch.is_grad_enabled():
            self.report(draws.progress)
        return (output - batch.target).square().mean(), {}


def passing(one: float, mirrored: int, left: float) -> tuple[bool, float]:
    """Whether the result is the mean over mirror images, and the seconds to keep for it.

    Args:
        one: seconds of a pass over the whole scan and the part that is held out.
        mirrored: images that there are.
        left: seconds for training and for that.
    """
    flips = mirrored * one <= _MIRRORING * left
    return flips, mirrored * one if flips else one


def _steps(voxels: int, patch: Sequence[int]) -> int:
    """At most so many, however long they may take."""
    return math.ceil(_PASSES * voxels / (_BATCH[len(patch)] * math.prod(patch)))
