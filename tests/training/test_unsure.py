from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from meddenoise.config import TrainingConfig
from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item, PatchSampler
from meddenoise.errors import ParameterError
from meddenoise.networks import build_network
from meddenoise.training import Engine, UnsureTrainer

SIGMA = 0.4


def batch(rows: int = 16) -> Batch:
    """A constant truth with noise of a variance of 0.16."""
    generator = torch.Generator().manual_seed(0)
    image = SIGMA * torch.randn(rows, 1, 32, 32, generator=generator)
    column = torch.ones(rows, 1, 1, 1)
    return Batch(image, None, None, 0 * column, column, column.flatten(), torch.ones(rows, 2))


def draws(step: int | str = 0, rows: int = 16) -> Draws:
    return Draws(0, step, rows)


class Slope(nn.Module):
    """f(y) = a y, whose divergence per voxel is a."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x: Tensor) -> Tensor:
        return self.slope * x


def test_the_loss_is_the_lagrangian() -> None:
    given, trainer = batch(), UnsureTrainer()
    for eta in (0.0, 0.3):
        trainer.load_state_dict({"eta": torch.tensor(eta)})
        loss, terms = trainer.training_step(Slope(0.25), given, draws())
        expected = 0.75**2 * given.image.square().mean() + 2 * eta * 0.25
        assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
        assert terms["divergence"].item() == pytest.approx(0.25, rel=1e-4)
        assert terms["eta"].item() == pytest.approx(eta)


@pytest.mark.parametrize(("slope", "up"), [(0.5, True), (-0.5, False)])
def test_eta_follows_the_divergence_and_not_below_0(slope: float, up: bool) -> None:
    trainer = UnsureTrainer(rate=0.1)
    start = {"eta": torch.tensor(0.2)}
    trainer.load_state_dict(start)
    for step in range(60):
        before = trainer.eta
        trainer.training_step(Slope(slope), batch(), draws(step))
        assert (trainer.eta > before) if up else (trainer.eta <= before)
    assert trainer.eta.item() > 2 if up else trainer.eta.item() == 0


def test_at_the_saddle_eta_is_the_variance() -> None:
    """For f(y) = a y on noise alone: a = 0 is the truth, and eta the variance."""
    network, trainer, given = Slope(0.8), UnsureTrainer(rate=0.05), batch()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    for step in range(400):
        loss, _ = trainer.training_step(network, given, draws(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert network.slope.item() == pytest.approx(0, abs=0.02)
    assert trainer.eta.item() == pytest.approx(SIGMA**2, rel=0.1)


def test_validation_leaves_eta_alone() -> None:
    trainer = UnsureTrainer()
    with torch.no_grad():
        trainer.training_step(Slope(0.5), batch(), draws("validation 0"))
    assert trainer.eta.item() == 0


def test_voxels_that_were_not_measured_do_not_count() -> None:
    given = batch()
    valid = torch.rand(given.image.shape) > 0.5
    spoilt = replace(given, image=torch.where(valid, given.image, 1e4), valid=valid)
    loss, terms = UnsureTrainer().training_step(Slope(0.25), spoilt, draws())
    assert loss.item() < 1
    assert terms["divergence"].item() == pytest.approx(0.125, rel=0.1)


def engine(trainer: Any, directory: Path | None = None) -> Engine:
    torch.manual_seed(0)
    image = torch.randn(24, 24, generator=torch.Generator().manual_seed(0))
    items = [Item(image, None, 0.0, 1.0, (1.0, 1.0))]
    trainer.look_at(items)
    return Engine(
        trainer,
        build_network("unet", dims=2, channels=[3, 4], residual=True),
        PatchSampler(items, (8, 8)),
        val=PatchSampler(items, (8, 8)),
        settings=TrainingConfig(steps=10, checkpoint_every=2, validate_every=3, trackers=[]),
        directory=directory,
        device="cpu",
        progress=False,
    )


class Killed(UnsureTrainer):
    """Is killed when step ``at`` begins."""

    at = -1

    def training_step(self, network: nn.Module, batch: Batch, draws: Draws) -> Any:
        if draws.step == self.at:
            raise KeyboardInterrupt
        return super().training_step(network, batch, draws)


def test_a_resumed_run_goes_on_with_its_eta(tmp_path: Path) -> None:
    whole, killed, again = Killed(), Killed(), Killed()
    expected = engine(whole).run()
    killed.at = 7
    with pytest.raises(KeyboardInterrupt):
        engine(killed, tmp_path).run()
    result = engine(again, tmp_path).run(resume=True)
    assert again.eta.item() == whole.eta.item() > 0
    for one, two in zip(result.network.parameters(), expected.network.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_new_run_begins_anew() -> None:
    trainer = UnsureTrainer()
    engine(trainer).run()
    first = trainer.eta.item()
    engine(trainer).run()
    assert trainer.eta.item() == first > 0


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_an_impossible_rate(rate: float) -> None:
    with pytest.raises(ParameterError, match="rate is above 0"):
        UnsureTrainer(rate=rate)
