"""Slice to slice: learn from one volume by predicting each slice's neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.training.noise2noise import Noise2NoiseTrainer
from meddenoise.training.trainer import register_trainer

if TYPE_CHECKING:
    from meddenoise.training.prepare import Prepared
    from meddenoise.volume import Volume

__all__ = ["Slice2SliceTrainer", "agreement"]

# Pixels to a side over which slices are compared: their noise is averaged away, organs are not.
_WIDTH = 7

# A quarter of |N(0, 1)| is below that. Not the median: where slices are thick, less than half of
# the pixels may differ by noise alone.
_SHARE, _NORMAL = 0.25, 0.3186


def agreement(one: Tensor, other: Tensor, tolerance: float, valid: Tensor | None = None) -> Tensor:
    """How much two images show the same, pixel by pixel.

    ``exp(-(d / (tolerance s))^2 / 2)`` with d the mean difference over 7 x 7 pixels and s its
    robust standard deviation in each image: where little differs but noise, that of the noise.

    Args:
        one: ``(B, 1, X, Y)``.
        other: the same shape.
        tolerance: in standard deviations.
        valid: bool, the same shape; others do not count.

    Returns:
        The same shape, 0 to 1; no gradient.
    """
    difference = (one - other).detach()
    weight = F.avg_pool2d(
        difference.new_ones(difference.shape) if valid is None else valid.to(difference),
        _WIDTH, stride=1, padding=_WIDTH // 2,
    )  # fmt: skip
    if valid is not None:
        difference = difference * valid
    total = F.avg_pool2d(difference, _WIDTH, stride=1, padding=_WIDTH // 2)
    mean = total / weight.clamp(min=1e-6)
    known = mean.abs() if valid is None else mean.abs().where(valid, torch.nan)
    spread = known.flatten(1).nanquantile(_SHARE, dim=1).nan_to_num().view(-1, 1, 1, 1) / _NORMAL
    return (-0.5 * (mean / (tolerance * spread).clamp(min=1e-6)).square()).exp()


@register_trainer("slice2slice")
class Slice2SliceTrainer(Noise2NoiseTrainer):
    """Zhou et al., "Neighboring Slice Noise2Noise", arXiv 2411.10831, 2024; its weighted term.

    Two slices next to each other are taken for two scans of the same (:class:`Noise2NoiseTrainer`)
    where they agree: ``w |f(y_k) - y_(k+1)|^2`` with the weight w of :func:`agreement`. Noise may
    be correlated within slices, which blind spots cannot bear: CT, zero-filled or interpolated
    planes.

    Right for slices thin enough to be alike and with independent noise, along the last axis: not
    for overlapping reconstructions or 3-D acquisitions that were interpolated along it. The network
    is 2-D. Where slices differ, little is learned and fine structure is smoothed: for noise that is
    weak beside what changes from slice to slice, it costs more than it gains.

    Args:
        tolerance: how many standard deviations slices may differ to count for the same.
    """

    def __init__(self, tolerance: float = 2.0) -> None:
        super().__init__()
        if not tolerance > 0:
            raise ParameterError(f"tolerance is above 0, not {tolerance}.")
        self.tolerance = tolerance
        self.options: dict[str, Any] = {"tolerance": tolerance}

    def arrange(self, scans: Sequence[Prepared]) -> list[Prepared]:
        """All slices but the last, and for each the next one."""
        for scan in scans:
            if scan.volume.dims != 3 or scan.volume.shape[2] < 2:
                raise ConfigError(
                    f"{scan.name} has no neighbouring slices to learn from: take noise2void or "
                    "neighbor2neighbor."
                )
        return [
            replace(
                scan,
                volume=_slices(scan.volume, slice(None, -1)),
                truth=_slices(scan.volume, slice(1, None)),
            )
            for scan in scans
        ]

    def look_at(self, items: Sequence[Item]) -> None:
        """Refuse 3-D networks."""
        if items[0].image.ndim != 2:
            raise ConfigError(
                "slice2slice trains a 2-D network, for a 3-D one sees the neighbouring slice: give "
                "data.patch two numbers."
            )

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The squared error to the neighbouring slice, where both agree."""
        given, wanted = self.roles(batch, draws)
        weight = agreement(given, wanted, self.tolerance, batch.valid)
        error = weight * (network(given).float() - wanted).square()
        if batch.valid is None:
            return error.mean(), {"agreement": weight.mean()}
        # A mean over all, not over the measured ones: so it is the mean over processes, too.
        return (error * batch.valid).mean(), {"agreement": (weight * batch.valid).mean()}


def _slices(volume: Volume, which: slice) -> Volume:
    padding = None if volume.padding is None else volume.padding[..., which]
    return replace(volume, array=volume.array[..., which], padding=padding)
