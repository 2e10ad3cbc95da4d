from __future__ import annotations

from collections.abc import Callable

import pytest

from meddenoise.training import Engine, SupervisedTrainer
from meddenoise.training.patience import Patience

Make = Callable[..., Engine]


def waits(limit: int | None, name: str, values: list[float]) -> list[bool]:
    patience = Patience(limit)
    told = []
    for value in values:
        patience.look({"loss": 1.0, name: value})
        told.append(patience.over)
    return told


def test_it_ends_after_so_many_without_an_improvement() -> None:
    psnr = [20.0, 21.0, 20.5, 21.0, 22.0, 21.0, 21.5]
    assert waits(2, "psnr", psnr) == [False, False, False, True, False, False, True]
    assert not any(waits(None, "psnr", psnr))


def test_a_risk_is_to_fall() -> None:
    assert waits(1, "risk", [0.5, 0.4, 0.45]) == [False, False, True]


def test_a_loss_alone_says_nothing() -> None:
    assert not any(waits(1, "something", [1.0, 2.0, 3.0]))


def test_a_resumed_one_has_not_forgotten() -> None:
    one, other = Patience(2), Patience(2)
    for value in (2.0, 1.0):
        one.look({"psnr": value})
    other.load_state_dict(one.state_dict())
    other.look({"psnr": 1.5})
    assert other.over


@pytest.mark.parametrize(("rate", "early"), [(1e-12, True), (1e-2, False)])
def test_a_run_that_learns_nothing_ends_early(make: Make, rate: float, early: bool) -> None:
    engine = make(
        trainer=SupervisedTrainer(), target=True, learning_rate=rate, patience=2,
        validate_every=2, steps=20, ema=0.0,
    )  # fmt: skip
    result = engine.run()
    assert result.stopped_early is early
    # The first look, and two that bring nothing; rounding may make one of them better.
    assert (result.steps <= 10) is early
    assert result.steps == 20 or result.steps % 2 == 0


def test_an_early_end_is_an_end(make: Make, tmp_path: object) -> None:
    settings = {"target": True, "learning_rate": 1e-12, "patience": 1, "validate_every": 2}
    first = make(tmp_path, SupervisedTrainer(), **settings, steps=40).run()
    again = make(tmp_path, SupervisedTrainer(), **settings, steps=40).run(resume=True)
    assert first.stopped_early
    assert again.stopped_early
    assert again.steps == first.steps
    assert again.voxels_per_second is None
