from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from meddenoise.config import TrainingConfig
from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item, PatchSampler
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.networks import build_network
from meddenoise.training import Engine, StagedTrainer, Trainer, build_trainer


def batch() -> Batch:
    column, image = torch.ones(4, 1, 1, 1), torch.randn(4, 1, 12, 12)
    row = column.flatten()
    return Batch(image, None, None, 0 * column, column, row, torch.ones(4, 2), 0.5 * row)


@pytest.mark.parametrize("then", ["sure", "r2r"])
@pytest.mark.parametrize(("progress", "second"), [(0.0, False), (0.59, False), (0.6, True)])
def test_whose_turn_it_is(then: str, progress: float, second: bool) -> None:
    given, draws = batch(), Draws(0, 3, 4, progress=progress)
    network = nn.Conv2d(1, 1, 3, padding=1)
    loss, terms = build_trainer("staged", switch=0.6, then=then).training_step(
        network, given, draws
    )
    alone = build_trainer(then if second else "neighbor2neighbor")
    assert torch.equal(loss, alone.training_step(network, given, draws)[0])
    assert terms["stage"] == float(second)


def test_the_learning_rate_follows_the_stages() -> None:
    trainer = StagedTrainer(switch=0.9)
    course = [trainer.schedule(k / 100) for k in range(101)]
    assert course[0] == 0
    assert course[90] == pytest.approx(0.7)
    assert course[100] == pytest.approx(1)
    assert all(a < b for a, b in pairwise(course))
    assert build_trainer("sure").schedule(0.3) == 0.3


class Watched(StagedTrainer):
    """Notes its stages; is killed when step ``at`` begins."""

    def __init__(self, at: int = -1) -> None:
        super().__init__(switch=0.5)
        self.at, self.stages = at, []

    def training_step(self, network: nn.Module, batch: Batch, draws: Draws) -> Any:
        if draws.step == self.at:
            raise KeyboardInterrupt
        loss, terms = super().training_step(network, batch, draws)
        if isinstance(draws.step, int):
            self.stages.append(int(terms["stage"]))
        return loss, terms


@pytest.fixture
def make() -> Callable[..., Engine]:
    def build(trainer: Trainer, directory: Path | None = None) -> Engine:
        torch.manual_seed(0)
        image = torch.randn(24, 24, generator=torch.Generator().manual_seed(0))
        item = Item(image, None, 0.0, 1.0, (1.0, 1.0), sigma=0.5)
        settings = {"steps": 10, "checkpoint_every": 2, "validate_every": 5, "trackers": []}
        return Engine(
            trainer,
            build_network("unet", dims=2, channels=[3, 4]),
            PatchSampler([item], (8, 8)),
            val=PatchSampler([item], (8, 8)),
            settings=TrainingConfig(**settings),
            seed=0,
            directory=directory,
            device="cpu",
            progress=False,
        )

    return build


@pytest.mark.parametrize("killed", [3, 5, 8])
def test_a_resumed_run_switches_where_the_whole_one_did(
    make: Callable[..., Engine], tmp_path: Path, killed: int
) -> None:
    whole, again = Watched(), Watched()
    expected = make(whole).run()
    assert whole.stages == [0] * 5 + [1] * 5
    with pytest.raises(KeyboardInterrupt):
        make(Watched(killed), tmp_path).run()
    result = make(again, tmp_path).run(resume=True)
    assert again.stages == whole.stages[killed // 2 * 2 :]
    assert result.validation == expected.validation
    for one, two in zip(result.network.parameters(), expected.network.parameters(), strict=True):
        assert torch.equal(one, two)


def test_the_axes_are_those_of_all_scans() -> None:
    trainer = StagedTrainer()
    items = [
        Item(torch.zeros(4, 4), None, 0.0, 1.0, spacing) for spacing in ((1.0, 3.0), (3.0, 1.0))
    ]
    with pytest.raises(ConfigError, match="one orientation"):
        trainer.look_at(items)


def test_patches_are_not_turned_where_its_neighbours_lie_along_some_axes() -> None:
    trainer = StagedTrainer(axes=[0])
    trainer.look_at([Item(torch.zeros(4, 4), None, 0.0, 1.0, (1.0, 1.0))])
    assert not trainer.turns


@pytest.mark.parametrize("switch", [0.0, 1.0, -1.0])
def test_a_switch_outside_the_run(switch: float) -> None:
    with pytest.raises(ParameterError, match="switch is above 0 and below 1"):
        StagedTrainer(switch=switch)


def test_what_cannot_come_second() -> None:
    with pytest.raises(ConfigError, match="'sure' or 'r2r'"):
        build_trainer("staged", then="noise2void")
    with pytest.raises(ParameterError, match="then is one of sure, r2r, not noise2void"):
        StagedTrainer(then="noise2void")  # type: ignore[arg-type]
