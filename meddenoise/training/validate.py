"""A look at frozen patches: the trainer's loss, and PSNR where the truth is known."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, PatchSampler
from meddenoise.training.trainer import Trainer

__all__ = ["validate"]


@torch.no_grad()
def validate(
    trainer: Trainer,
    network: nn.Module,
    patches: PatchSampler,
    draws: Iterable[Draws],
    accelerator: Accelerator,
) -> dict[str, float]:
    """Means over a batch for each of ``draws``, and over all processes.

    Returns:
        ``loss``; where truth is known also ``psnr`` of the output and ``psnr_noisy`` of the
        input, in dB against the 99.9th percentile of each patch's scan.
    """
    sums: dict[str, float] = {}
    batches = 0
    for drawn in draws:
        batch = patches.draw(drawn)
        with accelerator.autocast():
            loss, _ = trainer.training_step(network, batch, drawn)
            values = {"loss": loss}
            if batch.target is not None and trainer.target_is_clean:
                values |= _squared_errors(network(trainer.network_input(batch)), batch)
        for name, value in values.items():
            whole = accelerator.reduce(value.detach().float(), reduction="mean")
            sums[name] = sums.get(name, 0.0) + float(whole)
        batches += 1
    means = {name: value / batches for name, value in sums.items()}
    told = {"loss": means["loss"]}
    for name, error in (("psnr", "mse"), ("psnr_noisy", "mse_noisy")):
        if 0 < means.get(error, 0.0) < math.inf:
            told[name] = -10 * math.log10(means[error])
    return told


def _squared_errors(output: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Mean squared error of output and input, in units of the scan's 99.9th percentile."""
    target = batch.target
    assert target is not None
    share = batch.scale / batch.reference.view_as(batch.scale)
    valid = 1.0 if batch.valid is None else batch.valid.float()
    count = target.numel() if batch.valid is None else batch.valid.sum().clamp(min=1)

    def mse(x: Tensor) -> Tensor:
        return (((x.float() - target) * share).square() * valid).sum() / count

    return {"mse": mse(output), "mse_noisy": mse(batch.image)}
