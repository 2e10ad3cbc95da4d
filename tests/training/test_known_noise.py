"""SURE and R2R: with fixed networks their losses are the error to the truth, in the mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from meddenoise.config import NormaliseConfig
from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.training import R2RTrainer, SureTrainer, Trainer, build_trainer
from meddenoise.training.prepare import Prepared, as_items
from meddenoise.training.risk import divergence
from meddenoise.volume import Volume

ROWS, SIDE = 32, 48
BOTH = [SureTrainer(), R2RTrainer(), R2RTrainer(alpha=0.5)]
NAMES = ["sure", "r2r", "r2r, alpha 0.5"]


def draws(step: int = 0, batch: int = ROWS) -> Draws:
    return Draws(0, step, batch)


def noisy(sigma: float = 3.0, rows: int = ROWS) -> tuple[Batch, Tensor]:
    """Normalised patches of a smooth truth, of which every row has another scale; and the truth."""
    generator = torch.Generator().manual_seed(0)
    place = torch.linspace(0, 6, SIDE)
    truth = (20 * torch.sin(place[:, None] + place)).expand(rows, 1, SIDE, SIDE)
    image = truth + sigma * torch.randn(truth.shape, generator=generator)
    scale = 1.0 + torch.arange(rows).view(-1, 1, 1, 1) % 4
    spacing, level = torch.ones(rows, 2), torch.full((rows,), sigma)
    batch = Batch(image / scale, None, None, 0 * scale, scale, level, spacing, level)
    return batch, truth / scale


def convolution() -> nn.Conv2d:
    """A linear network: 0.3 of the voxel, and some of its neighbours."""
    network = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
    with torch.no_grad():
        network.weight.fill_(0.08)
        network.weight[..., 1, 1] = 0.3
        assert network.bias is not None
        network.bias.fill_(0.1)
    return network


class Recorder(nn.Module):
    """Keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        self.given = x
        return self.weight * x[:, :1]


@pytest.mark.parametrize("network", [convolution(), nn.Identity(), nn.Tanh()])
def test_sure_is_the_error_to_the_truth_in_the_mean(network: nn.Module) -> None:
    batch, truth = noisy()
    with torch.no_grad():
        told = torch.stack(
            [SureTrainer().training_step(network, batch, draws(k))[0] for k in "abc"]
        )
        true = (network(batch.image) - truth).square().mean()
    assert told.mean().item() == pytest.approx(true.item(), abs=0.06)


@pytest.mark.parametrize("alpha", [0.15, 0.5])
def test_r2r_is_the_error_of_a_noisier_scan_to_the_truth_in_the_mean(alpha: float) -> None:
    batch, truth = noisy()
    trainer, told, true = R2RTrainer(alpha=alpha), [], []
    for step in range(8):
        network = Recorder()
        told.append(trainer.training_step(network, batch, draws(step))[0].item())
        noisier = network.given / (1 - alpha) ** 0.5
        true.append((0.5 * noisier - truth).square().mean().item())
    assert np.mean(told) == pytest.approx(np.mean(true), abs=0.06)
    # What the network is given is noisier, by as much as the formula says, in less of a contrast:
    # in the end the noise is as strong as the scan's.
    added = (noisier - batch.image) * batch.scale
    assert added.std().item() == pytest.approx(3 * (alpha / (1 - alpha)) ** 0.5, rel=0.02)
    noise = (network.given - (1 - alpha) ** 0.5 * truth) * batch.scale
    assert noise.std().item() == pytest.approx(3, rel=0.02)


def test_the_least_sure_is_that_of_the_best_slope() -> None:
    """For f(y) = a y it is a = 1 - sigma^2 / <y^2>: Wiener's, without knowing the truth."""
    batch, _ = noisy()
    network = Recorder()
    gradients = []
    wiener = 1 - (3 / batch.scale).square().mean() / batch.image.square().mean()
    for slope in (wiener - 0.05, wiener, wiener + 0.05):
        network.weight.data = slope
        loss, _ = SureTrainer().training_step(network, batch, draws())
        (gradient,) = torch.autograd.grad(loss, network.weight)
        gradients.append(gradient.item())
    assert gradients[0] < 0 < gradients[2]
    assert abs(gradients[1]) < 0.1 * gradients[2]


def test_the_divergence_of_a_linear_network_is_its_trace() -> None:
    network = convolution()
    image, probe = torch.randn(8, 1, 32, 32), torch.randint(2, (8, 1, 32, 32)) * 2.0 - 1
    with torch.no_grad():
        output, moved = network(image), network(image + 0.1 * probe)
    step = torch.full((8, 1, 1, 1), 0.1)
    assert divergence(probe, output, moved, step).mean().item() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("trainer", BOTH, ids=NAMES)
def test_voxels_that_were_not_measured_do_not_count(trainer: Trainer) -> None:
    batch, _ = noisy()
    valid = torch.rand(batch.image.shape, generator=torch.Generator().manual_seed(1)) > 0.3
    spoilt = replace(batch, image=torch.where(valid, batch.image, 1e4), valid=valid)
    network = Recorder()
    loss, _ = trainer.training_step(network, spoilt, draws())
    whole, _ = trainer.training_step(network, batch, draws())
    assert loss.item() == pytest.approx(0.7 * whole.item(), rel=0.1)
    nothing = replace(spoilt, valid=torch.zeros_like(valid))
    assert trainer.training_step(network, nothing, draws())[0].item() == 0


@pytest.mark.parametrize("trainer", BOTH, ids=NAMES)
def test_draws_repeat_and_differ(trainer: Trainer) -> None:
    batch, _ = noisy()

    def loss(step: int) -> float:
        return trainer.training_step(convolution(), batch, draws(step))[0].item()

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)


@pytest.mark.parametrize("name", ["sure", "r2r"])
def test_a_noise_map_says_how_noisy_the_input_is(name: str) -> None:
    batch, network = noisy()[0], Recorder()
    build_trainer(name, noise_map=True).training_step(network, batch, draws())
    level = network.given[:ROWS, 1, 0, 0] * batch.scale.flatten()
    torch.testing.assert_close(level, torch.full((ROWS,), 3.0))


@pytest.mark.parametrize("name", ["sure", "r2r"])
def test_the_level_is_estimated_or_given(name: str) -> None:
    trainer = build_trainer(name)
    assert trainer.needs_sigma
    assert trainer.sigma is None
    given = build_trainer(name, sigma="10%")
    assert given.describe()["sigma"] == "10%"
    array = np.random.default_rng(0).normal(100, 5, (40, 40)).astype(np.float32)
    scan = Prepared("a scan", Volume.from_array(array), None)
    for one, expected in (
        (trainer, pytest.approx(5, rel=0.1)),
        (given, pytest.approx(0.1 * np.percentile(array, 99.9))),
        (build_trainer(name, sigma=7.0), 7.0),
    ):
        (item,) = as_items(
            [scan], NormaliseConfig(), 2, with_sigma=one.needs_sigma, sigma=one.sigma
        )
        assert item.sigma == expected


@pytest.mark.parametrize("trainer", BOTH, ids=NAMES)
def test_without_a_level_there_is_another_method(trainer: Trainer) -> None:
    batch = replace(noisy()[0], sigma=None)
    with pytest.raises(ConfigError, match="take unsure or neighbor2neighbor"):
        trainer.training_step(Recorder(), batch, draws())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sure", {"sigma": 0.0}),
        ("sure", {"sigma": -1.0}),
        ("sure", {"sigma": "ten"}),
        ("r2r", {"alpha": 0.0}),
        ("r2r", {"alpha": 1.0}),
    ],
)
def test_impossible_options(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        build_trainer(name, **options)
