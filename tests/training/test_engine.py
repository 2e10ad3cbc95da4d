from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ConfigError, FileError, ModelError, OutputError
from meddenoise.networks import build_network
from meddenoise.training import Engine, Noise2VoidTrainer, SupervisedTrainer, Trainer
from meddenoise.training.checkpoint import Checkpoint
from meddenoise.training.engine import Diverged, Interrupted
from meddenoise.training.lock import run_lock

Make = Callable[..., Engine]


class Killed(Exception):
    """What happens to a run without notice."""


class KilledAt(Noise2VoidTrainer):
    """Is killed when step ``at`` begins, or is asked to stop by a signal."""

    def __init__(self, at: int = 0, by: signal.Signals | None = None) -> None:
        super().__init__(mask_percent=3.0, window=5)
        self.at, self.by = at, by

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if draws.step == self.at:
            if self.by is None:
                raise Killed
            signal.raise_signal(self.by)
        return super().training_step(network, batch, draws)


def same_bits(one: nn.Module, two: nn.Module) -> bool:
    mine, theirs = one.state_dict(), two.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


def check_same(one: Engine, two: Engine) -> None:
    """Weights, their average, the optimizer's state and the validation, to the bit."""
    assert one.step == two.step
    assert same_bits(one.network, two.network)
    assert same_bits(one.average.network, two.average.network)
    mine, theirs = one.optimizer.state_dict()["state"], two.optimizer.state_dict()["state"]
    for key in mine:
        assert all(torch.equal(mine[key][k], theirs[key][k]) for k in mine[key])


@pytest.mark.parametrize("target", [False, True])
@pytest.mark.parametrize("killed_at", [5, 7, 11])
def test_a_killed_run_is_resumed_to_the_bit(
    make: Make, tmp_path: Path, killed_at: int, target: bool
) -> None:
    straight = make(trainer=KilledAt(-1), target=target)
    expected = straight.run()
    killed = make(tmp_path, KilledAt(killed_at), target=target)
    with pytest.raises(Killed):
        killed.run()
    resumed = make(tmp_path, KilledAt(-1), target=target)
    result = resumed.run(resume=True)
    check_same(straight, resumed)
    assert result.validation == expected.validation
    assert result.steps == expected.steps == 12
    assert same_bits(result.network, expected.network)
    # The run did learn something, and did start from the checkpoint.
    assert not same_bits(result.network, make().average.network)
    assert result.seconds > 0


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_saves_and_goes_on_to_the_bit(
    make: Make, tmp_path: Path, by: signal.Signals
) -> None:
    straight = make(trainer=KilledAt(-1))
    straight.run()
    before = signal.getsignal(by)
    with pytest.raises(Interrupted, match=r"step 7 of 12; the checkpoint is saved.*--resume"):
        make(tmp_path, KilledAt(6, by)).run()
    assert signal.getsignal(by) == before
    resumed = make(tmp_path, KilledAt(-1))
    resumed.run(resume=True)
    check_same(straight, resumed)


def test_a_stop_in_the_last_step_is_a_finished_run(make: Make, tmp_path: Path) -> None:
    assert make(tmp_path, KilledAt(11, signal.SIGINT)).run().steps == 12


def test_a_network_with_dropout_is_resumed_to_the_bit(make: Make, tmp_path: Path) -> None:
    def network() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Dropout(), nn.Conv2d(8, 1, 1))

    straight = make(trainer=KilledAt(-1), network=network())
    straight.run()
    with pytest.raises(Killed):
        make(tmp_path, KilledAt(7), network=network()).run()
    resumed = make(tmp_path, KilledAt(-1), network=network())
    resumed.run(resume=True)
    check_same(straight, resumed)


def test_a_finished_run_resumed_has_nothing_left_to_do(make: Make, tmp_path: Path) -> None:
    expected = make(tmp_path).run()
    again = make(tmp_path).run(resume=True)
    assert again.validation == expected.validation
    assert again.voxels_per_second is None
    assert same_bits(again.network, expected.network)


def test_resuming_where_nothing_is_starts_afresh(make: Make, tmp_path: Path) -> None:
    expected = make().run()
    assert same_bits(make(tmp_path).run(resume=True).network, expected.network)


def test_resuming_without_a_directory_is_an_error(make: Make) -> None:
    with pytest.raises(ConfigError, match="without a directory"):
        make().run(resume=True)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "pickle"])
def test_a_damaged_checkpoint(make: Make, tmp_path: Path, damage: str) -> None:
    make(tmp_path).run()
    file = tmp_path / "checkpoint" / "last.pt"
    if damage == "pickle":  # with code in it, which must not run
        torch.save({"step": os.system}, file)
    else:
        whole = file.read_bytes()
        file.write_bytes({"truncated": whole[:-200], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(FileError, match=r"last\.pt is damaged"):
        make(tmp_path).run(resume=True)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"batch": 2}, "the batch was 4 and is 2"),
        ({"steps": 24}, "training.steps was 12 and is 24"),
        ({"learning_rate": 1e-3}, "training.learning_rate was 0.01 and is 0.001"),
        ({"trainer": Noise2VoidTrainer(mask_percent=6.0, window=5)}, "the trainer is another"),
        ({"trainer": SupervisedTrainer(), "target": True}, "the trainer is another"),
        ({"network": build_network("unet", dims=2, channels=[3, 5])}, "weights is another"),
        ({"network": build_network("dncnn", dims=2, depth=3, width=2)}, "weights is another"),
        (
            {"patience": 3, "validate_every": 2},
            "training.patience was not set and is 3, training.val",
        ),
    ],
)
def test_a_checkpoint_of_another_configuration(
    make: Make, tmp_path: Path, other: dict[str, Any], what: str
) -> None:
    make(tmp_path).run()
    with pytest.raises(ConfigError, match="another configuration") as told:
        make(tmp_path, **other).run(resume=True)
    assert what in str(told.value)


def test_processes_that_share_a_cpu_find_their_checkpoint(make: Make, tmp_path: Path) -> None:
    make(tmp_path).run()
    found = Checkpoint.load(tmp_path / "checkpoint", torch.device("cpu:0"))
    assert found is not None
    assert found.step == 12


def test_a_checkpoint_of_an_older_version(make: Make, tmp_path: Path) -> None:
    make(tmp_path).run()
    file = tmp_path / "checkpoint" / "last.pt"
    torch.save({**torch.load(file), "settings": 32 * "b1"}, file)
    with pytest.raises(ConfigError, match="or of an older version"):
        make(tmp_path).run(resume=True)


def test_how_often_it_looks_and_saves_may_change(make: Make, tmp_path: Path) -> None:
    straight = make()
    straight.run()
    with pytest.raises(Interrupted):
        make(tmp_path, KilledAt(6, signal.SIGINT)).run()
    resumed = make(tmp_path, KilledAt(-1), validate_every=3, checkpoint_every=1)
    resumed.run(resume=True)
    check_same(straight, resumed)


def test_equal_runs_are_equal_and_other_seeds_are_not(make: Make) -> None:
    assert same_bits(make().run().network, make().run().network)
    assert not same_bits(make().run().network, make(seed=1).run().network)


def test_validation_does_not_touch_training(make: Make) -> None:
    assert same_bits(make(validate_every=1).run().network, make(validate_every=100).run().network)


def test_validation_is_on_frozen_patches(make: Make) -> None:
    engine = make(target=True, steps=1, learning_rate=1e-12)
    first, again = engine.run().validation, make(target=True, steps=1, learning_rate=1e-12).run()
    assert first == again.validation
    # An untrained residual network is the identity: its PSNR is that of the input.
    assert first["psnr"] == pytest.approx(first["psnr_noisy"], abs=1e-3)
    # 10 units of noise against a 99.9th percentile of 150.
    assert first["psnr_noisy"] == pytest.approx(-20 * math.log10(10 / 150), abs=1.0)


def test_it_learns(make: Make) -> None:
    learns = SupervisedTrainer()
    result = make(trainer=learns, target=True, steps=150, validate_every=150, ema=0.9).run()
    assert result.validation["psnr"] > result.validation["psnr_noisy"] + 3


def test_the_network_that_was_given_is_trained_in_place(make: Make) -> None:
    network = build_network("unet", dims=2, channels=[3, 4])
    before = {k: v.clone() for k, v in network.state_dict().items()}
    make(network=network).run()
    assert any(not torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_the_log_has_a_line_a_validation_and_no_step_twice(make: Make, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        make(tmp_path, KilledAt(9)).run()
    (tmp_path / "log.jsonl").open("a").write('{"step": 9, "ki')  # as a kill leaves it
    make(tmp_path, KilledAt(-1)).run(resume=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    looks = [line["step"] for line in lines if line["kind"] == "val"]
    assert looks == [4, 8, 12]
    assert lines[-1]["kind"] == "val"
    trained = [line for line in lines if line["kind"] == "train"]
    assert trained[-1]["step"] == 12
    assert {"loss", "voxels_per_second"} <= trained[-1].keys()
    steps = [line["step"] for line in trained]
    assert steps == sorted(set(steps))


class Breaks(Noise2VoidTrainer):
    """Gives a loss that is no number at one step, or a gradient that is none."""

    def __init__(self, at: int, weights: bool = False) -> None:
        super().__init__(mask_percent=3.0, window=5)
        self.at, self.weights = at, weights

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        loss, terms = super().training_step(network, batch, draws)
        if draws.step == self.at:
            if self.weights:
                # The loss is finite, its gradient is not.
                loss = loss + 0 * (loss - loss.detach()).abs().sqrt()
            else:
                loss = loss * torch.nan
        return loss, terms


@pytest.mark.parametrize(("at", "weights"), [(7, False), (9, True)])
def test_a_run_that_diverges_keeps_the_last_good_checkpoint(
    make: Make, tmp_path: Path, at: int, weights: bool
) -> None:
    with pytest.raises(Diverged, match=r"not finite at step .*learning_rate.* is kept in "):
        make(tmp_path, Breaks(at, weights)).run()
    saved = torch.load(tmp_path / "checkpoint" / "last.pt", weights_only=True)
    assert saved["step"] == 5
    assert all(bool(value.isfinite().all()) for value in saved["network"].values())


def test_a_run_that_diverges_before_its_first_checkpoint_speaks_of_none(
    make: Make, tmp_path: Path
) -> None:
    with pytest.raises(Diverged, match=r"not finite at step \d+\. Lower") as told:
        make(tmp_path, Breaks(2)).run()
    assert "checkpoint" not in str(told.value)
    assert not (tmp_path / "checkpoint" / "last.pt").exists()


def test_a_trainer_that_needs_targets_says_so(make: Make) -> None:
    with pytest.raises(ConfigError, match="learns from clean partners"):
        make(trainer=SupervisedTrainer())


def test_a_network_that_cannot_be_trained(make: Make) -> None:
    with pytest.raises(ConfigError, match="no weights"):
        make(network=nn.Identity())


def test_a_network_that_changes_the_shape_is_found_out(make: Make) -> None:
    network = nn.Conv2d(1, 1, 3)
    with pytest.raises(ModelError, match=r"Conv2d gives shape .*must keep the shape"):
        make(network=network, trainer=SupervisedTrainer(), target=True).run()


def test_one_directory_one_run(make: Make, tmp_path: Path) -> None:
    with run_lock(tmp_path), pytest.raises(OutputError, match="Another run is writing"):
        make(tmp_path).run()
    assert make(tmp_path).run().steps == 12  # the lock is gone with its holder


def test_a_directory_that_cannot_be_written(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        make(tmp_path / "file" / "run").run()


def test_the_clock_may_end_a_run(make: Make) -> None:
    result = make(steps=10**6, max_minutes=0.3 / 60, validate_every=10**6).run()
    assert 0 < result.steps < 10**6
    assert result.validation  # the last look is taken all the same


def test_bf16_trains_on_a_cpu_and_fp32_after_it(make: Make) -> None:
    torch.manual_seed(0)
    network = build_network("unet", dims=2, channels=[3, 4], residual=True)
    options: dict[str, Any] = {"target": True, "steps": 150, "ema": 0.9, "network": network}
    before = make(precision="fp32").run()
    half = make(trainer=SupervisedTrainer(), precision="bf16", **options).run()
    assert half.validation["psnr"] > half.validation["psnr_noisy"] + 3
    assert {p.dtype for p in half.network.parameters()} == {torch.float32}
    # Nothing of it stays: neither in the process nor in the module.
    assert same_bits(make(precision="fp32").run().network, before.network)
    x = torch.randn(1, 1, 8, 8)
    again = build_network("unet", dims=2, channels=[3, 4], residual=True)
    again.load_state_dict(network.state_dict())
    assert torch.allclose(network(x), again(x), atol=1e-4)  # bf16 would be 1e-2 apart
    assert make(precision="fp32", network=network).run().steps == 12


def test_fp16_needs_a_gpu(make: Make) -> None:
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        make(precision="fp16")


class Terms(Trainer):
    """Logs a term of its own."""

    def training_step(
        self, network: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[Tensor, dict[str, Tensor]]:
        loss = (network(batch.image) - batch.image).square().mean()
        return loss, {"extra": loss * 2}


def test_terms_of_a_trainer_are_logged(make: Make, tmp_path: Path) -> None:
    make(tmp_path, Terms()).run()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert all(line["extra"] == 2 * line["loss"] for line in lines if line["kind"] == "train")


def test_tensorboard_is_written_where_it_is_asked_for(make: Make, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    make(tmp_path, trackers=["tensorboard"]).run()
    assert list(tmp_path.rglob("events.out.tfevents.*"))
    told = EventAccumulator(str(next(tmp_path.rglob("events.out.tfevents.*")).parent)).Reload()
    assert set(told.Tags()["images"]) == {"val/images", "val/residuals"}
    assert "val/loss" in told.Tags()["scalars"]
    make(tmp_path / "none").run()
    assert not list((tmp_path / "none").rglob("events.out.tfevents.*"))
