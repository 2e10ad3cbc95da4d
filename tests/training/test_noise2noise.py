from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.training import Noise2NoiseTrainer, build_trainer
from meddenoise.training.prepare import Prepared
from meddenoise.volume import Volume


def draws(step: int = 0, batch: int = 8) -> Draws:
    return Draws(0, step, batch)


def pair(rows: int = 8) -> Batch:
    """Two noisy images of 0, of a variance of 1."""
    generator = torch.Generator().manual_seed(0)
    image, other = torch.randn(2, rows, 1, 24, 24, generator=generator)
    column = torch.ones(rows, 1, 1, 1)
    return Batch(image, other, None, 0 * column, column, column.flatten(), torch.ones(rows, 2))


class Recorder(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        self.given = x
        return 0.5 * x


def test_each_patch_goes_one_way_or_the_other() -> None:
    batch, trainer, ways = pair(), Noise2NoiseTrainer(), set()
    for step in range(5):
        network = Recorder()
        loss, _ = trainer.training_step(network, batch, draws(step))
        assert batch.target is not None
        total = 0.0
        for image, other, given in zip(batch.image, batch.target, network.given, strict=True):
            swapped = torch.equal(given, other)
            assert swapped or torch.equal(given, image)
            total += (0.5 * given - (image if swapped else other)).square().mean().item()
            ways.add(swapped)
        assert loss.item() == pytest.approx(total / 8, rel=1e-4)
    assert ways == {False, True}
    # 0.25 is the error to the truth, 1 the target's variance.
    assert loss.item() == pytest.approx(1.25, rel=0.1)


def test_without_swapping_the_target_stays_the_target() -> None:
    batch, network = pair(), Recorder()
    Noise2NoiseTrainer(swap=False).training_step(network, batch, draws())
    assert torch.equal(network.given, batch.image)


def test_voxels_that_were_not_measured_do_not_count() -> None:
    batch = pair()
    valid = torch.rand(batch.image.shape) > 0.5
    spoilt = replace(batch, image=torch.where(valid, batch.image, 1e6), valid=valid)
    loss, _ = Noise2NoiseTrainer().training_step(Recorder(), spoilt, draws())
    assert loss.item() == pytest.approx(0.625, rel=0.15)


def item(image: np.ndarray, target: np.ndarray | None) -> Item:
    tensors = [
        None if a is None else torch.from_numpy(a.astype(np.float32)) for a in (image, target)
    ]
    return Item(tensors[0], tensors[1], 0.0, 1.0, (1.0, 1.0))  # type: ignore[arg-type]


def test_without_a_second_scan_there_is_another_method() -> None:
    noise = np.random.default_rng(0).normal(size=(24, 24))
    with pytest.raises(ConfigError, match=r"data\.targets.*or take noise2void"):
        Noise2NoiseTrainer().look_at([item(noise, None)])
    with pytest.raises(ConfigError, match=r"data\.targets.*or take noise2void"):
        build_trainer("noise2noise").fit(noise, patch=[8, 8], steps=1, device="cpu")


def test_clean_targets_are_no_repeats() -> None:
    one, two = np.random.default_rng(0).normal(size=(2, 48, 48))
    Noise2NoiseTrainer().look_at([item(one, two), item(one, 0.1 * two)])
    with pytest.raises(ConfigError, match="take supervised"):
        Noise2NoiseTrainer().look_at([item(one, 0.1 * two)])
    Noise2NoiseTrainer(swap=False).look_at([item(one, 0.1 * two)])
    Noise2NoiseTrainer().look_at([item(one[:2, :2], two[:2, :2])])  # too small to tell


def four_d(volumes: int) -> Prepared:
    array = np.arange(volumes, dtype=np.float32)[:, None, None, None] * np.ones((4, 4, 4), "f4")
    padding = array == 1
    return Prepared("scan", Volume(array, np.eye(4), padding=padding), None)


def test_repeats_within_a_4d_scan() -> None:
    (given,) = Noise2NoiseTrainer(repeats=2).arrange([four_d(8)])
    assert given.truth is not None
    assert given.volume.array[:, 0, 0, 0].tolist() == [0, 1, 4, 5]
    assert given.truth.array[:, 0, 0, 0].tolist() == [2, 3, 6, 7]
    assert given.volume.padding is not None
    assert given.volume.padding[:, 0, 0, 0].tolist() == [False, True, False, False]
    assert Noise2NoiseTrainer().arrange([four_d(8)])[0].truth is None


@pytest.mark.parametrize(("volumes", "repeats"), [(3, 1), (22, 4), (8, 8)])
def test_volumes_that_are_no_pairs(volumes: int, repeats: int) -> None:
    with pytest.raises(ConfigError, match=rf"scan has {volumes} volumes, which are not pairs"):
        Noise2NoiseTrainer(repeats=repeats).arrange([four_d(volumes)])


def test_one_volume_has_no_repeats_within() -> None:
    with pytest.raises(ConfigError, match=r"scan is one volume, .* 4-D scan: .*take noise2void"):
        Noise2NoiseTrainer(repeats=1).arrange([four_d(1)])


def test_it_trains_on_the_repeats_of_a_4d_scan() -> None:
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(12, 12, 8)).cumsum(0).cumsum(1)
    array = (clean + rng.normal(size=(4, 12, 12, 8))).astype(np.float32)
    denoiser = Noise2NoiseTrainer(repeats=2).fit(
        Volume(array, np.eye(4)), patch=[8, 8, 8], steps=2, batch=2, device="cpu",
        validate_batches=1, precision="fp32",
    )  # fmt: skip
    # The repeat is no truth to be scored against.
    assert set(denoiser.info["training"]["validation"]) == {"loss"}


def test_an_impossible_distance() -> None:
    with pytest.raises(ParameterError, match="at least 1"):
        Noise2NoiseTrainer(repeats=0)
