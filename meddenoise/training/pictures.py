"""Validation patches as pictures, for trackers: noisy, denoised, and what was taken away."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from meddenoise.data.patches import Batch
from meddenoise.training.trainer import Trainer

__all__ = ["log_pictures", "validation_pictures"]

_MOST = 4
_SPREAD = 3
_TINY = 1e-30


@torch.no_grad()
def validation_pictures(
    trainer: Trainer, network: nn.Module, batch: Batch
) -> dict[str, NDArray[np.uint8]]:
    """The middle slice of up to four patches, beside each other.

    ``images`` has a row each for the noisy patch, the network's output, and the clean one where it
    is known, in one grey window of the noisy patch (1st to 99th percentile); ``residuals`` is noisy
    minus output within three deviations, mid-grey for none. The output is the network's alone,
    without what :mod:`meddenoise.inference` puts back.

    Args:
        trainer: whose input the network gets.
        network: in evaluation mode.
        batch: of validation; ``(B, 1, *patch)``.

    Returns:
        By name, ``(rows, columns)`` of grey values.
    """
    output = network(trainer.network_input(batch)).float()
    noisy = batch.image.float()
    rows = {"noisy": noisy, "denoised": output}
    if batch.target is not None and trainer.target_is_clean:
        rows["clean"] = batch.target.float()
    flat = {name: _slices(values) for name, values in rows.items()}
    whole: list[list[NDArray[np.uint8]]] = [[] for _ in flat]
    residuals = []
    for number in range(len(flat["noisy"])):
        low, high = np.percentile(flat["noisy"][number], (1, 99))
        for row, values in zip(whole, flat.values(), strict=True):
            row.append(_grey(values[number], float(low), float(high)))
        apart = flat["noisy"][number] - flat["denoised"][number]
        spread = _SPREAD * float(apart.std())
        residuals.append(_grey(apart, -spread, spread))
    images = np.vstack([np.hstack(row) for row in whole])
    return {"images": images, "residuals": np.hstack(residuals)}


def log_pictures(trackers: Any, pictures: dict[str, NDArray[np.uint8]], step: int) -> None:
    """Give pictures to each of Accelerate's trackers, in the way that it takes them."""
    for tracker in trackers:
        for name, picture in pictures.items():
            key = f"val/{name}"
            if tracker.name == "tensorboard":
                shaped = picture[None, :, :, None]
                tracker.log_images({key: shaped}, step=step, dataformats="NHWC")
            elif tracker.name == "wandb":
                tracker.log_images({key: [picture]}, step=step)
            elif tracker.name == "mlflow":
                import mlflow

                mlflow.log_image(picture, f"{key}/{step:08d}.png")


def _slices(values: torch.Tensor) -> NDArray[np.float32]:
    """``(B, 1, X, Y[, Z])`` to the middle ``(B, Y, X)`` of a few."""
    some = values[:_MOST, 0]
    if some.ndim == 4:
        some = some[..., some.shape[-1] // 2]
    return some.transpose(1, 2).cpu().numpy()


def _grey(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    share = (values - low) / max(high - low, _TINY)
    return np.rint(255 * np.clip(np.nan_to_num(share), 0, 1)).astype(np.uint8)
