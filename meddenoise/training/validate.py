"""A look at frozen patches: the trainer's loss, PSNR where the truth is known, or SURE."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Sampler
from meddenoise.training.risk import PROBE, divergence
from meddenoise.training.trainer import Trainer

__all__ = ["validate"]


@torch.no_grad()
def validate(
    trainer: Trainer,
    network: nn.Module,
    patches: Sampler,
    draws: Iterable[Draws],
    accelerator: Accelerator,
    *,
    risk: bool = False,
) -> dict[str, float]:
    """Means over a batch for each of ``draws``, and over all processes.

    Args:
        trainer: whose loss and input.
        network: maps the trainer's input to its shape with one channel.
        patches: where they come from.
        draws: of each batch.
        accelerator: for its precision and its processes.
        risk: where the truth is not known and the noise's level is, estimate the error.

    Returns:
        ``loss``; where truth is known also ``psnr`` of the output and ``psnr_noisy`` of the
        input, in dB against the 99.9th percentile of each patch's scan; where ``risk`` is asked
        for and the truth is not known, that: Stein's unbiased estimate of the mean squared error,
        in units of the noise's variance, right for noise that is white and Gaussian.
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
            elif risk and batch.sigma is not None:
                values["risk"] = _risk(trainer, network, batch, drawn)
        for name, value in values.items():
            whole = accelerator.reduce(value.detach().float(), reduction="mean")
            sums[name] = sums.get(name, 0.0) + float(whole)
        batches += 1
    means = {name: value / batches for name, value in sums.items()}
    told = {name: value for name, value in means.items() if name in ("loss", "risk")}
    for name, error in (("psnr", "mse"), ("psnr_noisy", "mse_noisy")):
        if 0 < means.get(error, 0.0) < math.inf:
            told[name] = -10 * math.log10(means[error])
    return told


def _risk(trainer: Trainer, network: nn.Module, batch: Batch, draws: Draws) -> Tensor:
    """SURE over the measured voxels, in units of sigma^2: the trainer's own sees others."""
    assert batch.sigma is not None
    sigma = batch.sigma.view_as(batch.scale) / batch.scale
    probe = 2.0 * draws.integers("risk", 2, *batch.image.shape[1:]) - 1
    valid = torch.ones_like(probe) if batch.valid is None else batch.valid.float()
    step, probe = PROBE * sigma, probe * valid
    moved = replace(batch, image=batch.image + step * probe)
    output, other = (network(trainer.network_input(each)).float() for each in (batch, moved))
    change = ((output - batch.image) / sigma).square() - 1
    voxels = change + 2 * divergence(probe, output, other, step)
    return (voxels * valid).sum() / valid.sum().clamp(min=1)


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
