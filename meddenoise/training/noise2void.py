"""Noise2Void: learn from one noisy scan by predicting voxels that are hidden from the network."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ParameterError
from meddenoise.training.blind_spots import BlindSpots, Replacement, hide_voxels
from meddenoise.training.trainer import Trainer, register_trainer

__all__ = ["Noise2VoidTrainer"]

_WINDOW = {"uniform": 11, "mean": 5, "median": 5}


@register_trainer("noise2void")
class Noise2VoidTrainer(Trainer):
    """Mean squared error at hidden voxels (Krull et al., CVPR 2019, equation 10).

    Right for noise that is independent from voxel to voxel with zero mean. Where noise is
    correlated (interpolated, zero-filled or CT data), the network learns to keep it.

    Noise2Void2 (Hoeck et al., ECCV 2022 workshops) replaces by the median, and its U-Net has
    blurred pooling and no skip at the top: ``replacement: median`` here, and
    ``network: {name: unet, pool: blur, top_skip: false}``.

    Args:
        mask_percent: share of voxels hidden in each patch. The paper hides 64 in 64 x 64
            (1.6 %), published 3-D settings 0.2 %. In 3-D a hidden voxel has so many visible
            neighbours that 3 % costs nothing and every step learns from more voxels.
        window: width of the replacement window in voxels along the finest axis. On other axes
            it covers the same millimetres, so that a thick slice is not taken for a neighbour.
            If null, 11 for ``"uniform"`` and 5 for the others.
        replacement: what stands in the place of a hidden voxel: a random other one of the window
            (``"uniform"``), or the ``"mean"`` or ``"median"`` of all the others.
    """

    blind = True

    def __init__(
        self,
        mask_percent: float = 3.0,
        window: int | None = None,
        replacement: Replacement = "uniform",
    ) -> None:
        if not 0 < mask_percent <= 25:
            raise ParameterError(f"mask_percent is above 0 and at most 25, not {mask_percent}.")
        if replacement not in _WINDOW:
            raise ParameterError(f"replacement is one of {', '.join(_WINDOW)}, not {replacement}.")
        if window is None:
            window = _WINDOW[replacement]
        if window < 3 or window % 2 == 0:
            raise ParameterError(f"window is an odd number of at least 3 voxels, not {window}.")
        self.mask_percent = mask_percent
        self.window = window
        self.replacement: Replacement = replacement
        self.options: dict[str, Any] = {
            "mask_percent": mask_percent,
            "window": window,
            "replacement": replacement,
        }

    def radius(self, spacing: Tensor) -> Tensor:
        """The window's half-width ``(B, D)`` in voxels, for voxels of ``(B, D)`` mm."""
        reach = (self.window // 2) * spacing.amin(1, keepdim=True)
        return (reach / spacing + 1e-4).floor().long()

    def independent_axes(self, dims: int) -> tuple[int, ...]:
        """All."""
        return tuple(range(dims))

    def hide(self, batch: Batch, draws: Draws) -> BlindSpots:
        """The batch with some voxels hidden, and which."""
        return hide_voxels(
            batch.image,
            draws,
            percent=self.mask_percent,
            radius=self.radius(batch.spacing),
            replacement=self.replacement,
        )

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error between prediction and input where the input was hidden."""
        spots = self.hide(batch, draws)
        error = (spots.take(network(spots.image)).float() - spots.take(batch.image)).square()
        if batch.valid is None:
            return error.mean(), {}
        # A mean over all, not over the measured ones: so it is the mean over processes, too.
        return (error * spots.take(batch.valid)).mean(), {}
