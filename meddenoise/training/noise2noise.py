"""Noise2Noise: learn from two noisy scans of the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.noise import estimate_sigma
from meddenoise.training.trainer import Trainer, register_trainer

if TYPE_CHECKING:
    from meddenoise.training.prepare import Prepared
    from meddenoise.volume import Volume

__all__ = ["Noise2NoiseTrainer"]

# Repeats have the same noise; a clean partner or an average of many has not.
_ALIKE = 2.0


@register_trainer("noise2noise")
class Noise2NoiseTrainer(Trainer):
    """Lehtinen et al., "Noise2Noise", ICML 2018.

    Of a scan and its repeat, one is the input and the other the target, drawn anew for every
    patch. A target's noise of zero mean costs speed and nothing else: the least squared error to it
    is at the mean, as that to the truth is.

    Right for any noise that is independent between the two, correlated between voxels or not.
    Registration errors are learned as blur. The repeats are ``data.targets``, or volumes of the
    same 4-D scan.

    Args:
        repeats: of a 4-D scan, how many volumes further each one's repeat is (11 where volumes 0 to
            10 were measured again as 11 to 21). Null: the repeats are ``data.targets``.
        swap: whether the target may be the input as well; off for targets that are less noisy.
    """

    target_is_clean: ClassVar[bool] = False

    def __init__(self, repeats: int | None = None, swap: bool = True) -> None:
        if repeats is not None and repeats < 1:
            raise ParameterError(f"repeats is at least 1 volume, not {repeats}.")
        self.repeats = repeats
        self.swap = swap
        self.options: dict[str, Any] = {"repeats": repeats, "swap": swap}

    def arrange(self, scans: Sequence[Prepared]) -> list[Prepared]:
        """Volumes of 4-D scans with their repeats, if they are to be found there."""
        if self.repeats is None:
            return list(scans)
        return [self._halves(scan, self.repeats) for scan in scans]

    @staticmethod
    def _halves(scan: Prepared, apart: int) -> Prepared:
        count = scan.volume.channels
        if count == 1:
            raise ConfigError(
                f"{scan.name} is one volume, and trainer.repeats is for the volumes of a 4-D scan: "
                "give its repeat as data.targets, or take noise2void, which needs none."
            )
        if count < 2 * apart or count % (2 * apart):
            raise ConfigError(
                f"{scan.name} has {count} volumes, which are not pairs {apart} apart: give "
                "trainer.repeats the number of volumes after which they were measured again."
            )
        first = [k for k in range(count) if k // apart % 2 == 0]
        second = [k + apart for k in first]
        volume, truth = (_channels(scan.volume, part) for part in (first, second))
        return replace(scan, volume=volume, truth=truth)

    def look_at(self, items: Sequence[Item]) -> None:
        """Refuse scans without a repeat, and targets that are none."""
        for item in items:
            if item.target is None:
                raise ConfigError(
                    "Noise2Noise learns from a second scan of the same, and there is none: give it "
                    "as data.targets, or trainer.repeats for a 4-D scan, or take noise2void."
                )
        if not self.swap:
            return
        levels = [[_level(x) for x in (item.image, item.target)] for item in items]
        known = [(a, b) for a, b in levels if a is not None and b is not None]
        if known and all(b * _ALIKE < a for a, b in known):
            raise ConfigError(
                "The targets are much less noisy than the images, so they are no repeats: take "
                "supervised, or set trainer.swap to false."
            )

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The squared error between what f makes of the one, and the other."""
        given, wanted = self.roles(batch, draws)
        error = (network(given).float() - wanted).square()
        if batch.valid is None:
            return error.mean(), {}
        # A mean over all, not over the measured ones: so it is the mean over processes, too.
        return (error * batch.valid).mean(), {}

    def roles(self, batch: Batch, draws: Draws) -> tuple[Tensor, Tensor]:
        """Input and target of each patch."""
        if batch.target is None:
            raise ConfigError("Noise2Noise needs the batch's target, a second scan of the same.")
        if not self.swap:
            return batch.image, batch.target
        swapped = draws.integers("swap", 2).view_as(batch.scale) == 1
        return (
            torch.where(swapped, batch.target, batch.image),
            torch.where(swapped, batch.image, batch.target),
        )


def _channels(volume: Volume, which: Sequence[int]) -> Volume:
    at: Any = list(which)
    if at == list(range(at[0], at[-1] + 1)):
        at = slice(at[0], at[-1] + 1)  # a view: nothing is copied
    padding = None if volume.padding is None else volume.padding[at]
    return replace(volume, array=volume.array[at], padding=padding)


def _level(image: Tensor | None) -> float | None:
    """The strength of the finest detail; ``None`` where the image is too small to tell."""
    assert image is not None
    try:
        return estimate_sigma(image.numpy())
    except ParameterError:
        return None
