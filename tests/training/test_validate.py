from __future__ import annotations

import math

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Item, PatchSampler
from meddenoise.training import Noise2VoidTrainer
from meddenoise.training.validate import validate

SIGMA = 5.0


class Blur(nn.Module):
    """The mean over 3 x 3 x 3 voxels, and so much of the voxel itself."""

    def __init__(self, keeps: float) -> None:
        super().__init__()
        self.keeps = keeps

    def forward(self, x: Tensor) -> Tensor:
        mean = nn.functional.avg_pool3d(x, 3, stride=1, padding=1, count_include_pad=False)
        return self.keeps * x + (1 - self.keeps) * mean


def images(masked: bool) -> tuple[Tensor, PatchSampler]:
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0, 60, 48)
    clean = 30 * torch.sin(ramp / 4)[:, None, None] + ramp[None, :, None] + torch.zeros(48, 48, 48)
    noisy = clean + SIGMA * torch.randn(clean.shape, generator=generator)
    valid = None
    if masked:
        valid = torch.rand(clean.shape, generator=generator) > 0.3
        noisy = torch.where(valid, noisy, torch.tensor(0.0))
    item = Item(noisy, None, 20.0, 25.0, (1.0,) * 3, valid=valid, sigma=SIGMA)
    return clean, PatchSampler([item], (48, 48, 48), augment="none")


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("keeps", [0.0, 0.5, 1.0])
def test_the_risk_is_the_error_that_nobody_can_see(keeps: float, masked: bool) -> None:
    clean, patches = images(masked)
    network = Blur(keeps)
    draws = Draws(0, "validation", 1)
    accelerator = Accelerator(cpu=True)
    values = validate(Noise2VoidTrainer(), network, patches, [draws], accelerator, risk=True)
    batch = patches.draw(draws)
    output = network(batch.image) * batch.scale + batch.shift
    error = ((output - clean) / SIGMA).square()
    valid = torch.ones_like(error) if batch.valid is None else batch.valid.float()
    truth = float((error * valid).sum() / valid.sum())
    chance = 4 * math.sqrt((2 + 4 * truth) / float(valid.sum()))
    assert values["risk"] == pytest.approx(truth, abs=chance)
    assert chance < 0.1 * max(truth, 0.3)
    assert truth > 0.03


def test_nobody_asked_or_nobody_knows_the_noise() -> None:
    _, patches = images(False)
    accelerator, network = Accelerator(cpu=True), Blur(0.5)
    draws = [Draws(0, "validation", 1)]
    assert "risk" not in validate(Noise2VoidTrainer(), network, patches, draws, accelerator)
    unknown = PatchSampler([Item(torch.rand(16, 16, 16), None, 0, 1, (1.0,) * 3)], (16,) * 3)
    told = validate(Noise2VoidTrainer(), network, unknown, draws, accelerator, risk=True)
    assert "risk" not in told
