from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from meddenoise.data.patches import Batch
from meddenoise.training.pictures import log_pictures, validation_pictures


class Plain:
    target_is_clean = True

    def network_input(self, batch: Batch) -> torch.Tensor:
        return batch.image


def batch(*shape: int, target: bool = False) -> Any:
    draws = torch.Generator().manual_seed(0)
    image = torch.randn(shape, generator=draws)
    return SimpleNamespace(image=image, target=torch.zeros_like(image) if target else None)


def test_rows_of_up_to_four_patches() -> None:
    made = validation_pictures(Plain(), nn.Identity(), batch(6, 1, 8, 10, 5, target=True))
    assert made["images"].shape == (3 * 10, 4 * 8)
    assert made["residuals"].shape == (10, 4 * 8)
    assert made["images"].dtype == np.uint8
    # Nothing was taken away: mid-grey; and the output is the input.
    noisy, output, clean = made["images"][:10], made["images"][10:20], made["images"][20:]
    assert (noisy == output).all()
    assert len(np.unique(clean[:, :8])) == 1
    assert set(np.unique(made["residuals"])) <= {0, 127, 128}


def test_the_residual_shows_what_was_taken_away() -> None:
    class Less(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            taken = torch.zeros_like(x)
            taken[:, :, 2] = 1  # a column of bright
            return x - taken

    residual = validation_pictures(Plain(), Less(), batch(1, 1, 8, 6))["residuals"]
    assert (residual[:, 2] > residual[:, 3]).all()
    assert validation_pictures(Plain(), Less(), batch(1, 1, 8, 6))["images"].shape == (12, 8)


def test_every_tracker_gets_them_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    class Tracker:
        def __init__(self, name: str) -> None:
            self.name = name

        def log_images(self, values: dict[str, Any], step: int, **more: Any) -> None:
            said.append((self.name, {k: np.shape(v) for k, v in values.items()}, step, more))

    def log_image(picture: Any, place: str) -> None:
        said.append(("mlflow", picture.shape, place))

    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(log_image=log_image))
    picture = {"residuals": np.zeros((4, 6), np.uint8)}
    log_pictures([Tracker(n) for n in ("tensorboard", "wandb", "mlflow")], picture, 7)
    assert said == [
        ("tensorboard", {"val/residuals": (1, 4, 6, 1)}, 7, {"dataformats": "NHWC"}),
        ("wandb", {"val/residuals": (1, 4, 6)}, 7, {}),
        ("mlflow", (4, 6), "val/residuals/00000007.png"),
    ]
