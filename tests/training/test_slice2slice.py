from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch, Item
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.training import Slice2SliceTrainer
from meddenoise.training.prepare import Prepared
from meddenoise.training.slice2slice import agreement
from meddenoise.volume import Volume


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_slices_agree_but_where_something_is_new() -> None:
    one, other = noise(2, 1, 64, 64), noise(2, 1, 64, 64, seed=1)
    alike = agreement(one, other, tolerance=2.0)
    assert alike.min() >= 0
    assert alike.max() <= 1
    assert alike.mean().item() > 0.85
    other[0, :, 20:40, 20:40] += 5
    weight = agreement(one, other, tolerance=2.0)
    assert weight[0, 0, 25:35, 25:35].max().item() < 1e-3
    assert weight[0, 0, 50:, 50:].mean().item() > 0.8
    assert torch.equal(weight[1], alike[1])
    # The more is tolerated, the more agrees.
    assert (agreement(one, other, tolerance=4.0) >= weight).all()


def test_what_was_not_measured_says_nothing() -> None:
    one, other = noise(1, 1, 32, 32), noise(1, 1, 32, 32, seed=1)
    valid = torch.ones(1, 1, 32, 32, dtype=torch.bool)
    valid[..., :8] = False
    spoilt = torch.where(valid, other, 1e6)
    weight = agreement(one, spoilt, 2.0, valid)
    assert weight[valid].mean().item() > 0.8
    torch.testing.assert_close(weight[..., 12:], agreement(one, other, 2.0, valid)[..., 12:])


def batch_of(image: Tensor, target: Tensor, valid: Tensor | None = None) -> Batch:
    column = torch.ones(len(image), 1, 1, 1)
    spacing = torch.ones(len(image), 2)
    return Batch(image, target, valid, 0 * column, column, column.flatten(), spacing)


def test_the_loss_is_weighted() -> None:
    one, other = noise(4, 1, 32, 32), noise(4, 1, 32, 32, seed=1)
    trainer, draws = Slice2SliceTrainer(tolerance=1.5), Draws(0, 0, 4)
    loss, terms = trainer.training_step(nn.Identity(), batch_of(one, other), draws)
    weight = agreement(one, other, 1.5)
    expected = (weight * (one - other).square()).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)  # the same both ways
    assert terms["agreement"].item() == pytest.approx(weight.mean().item(), rel=1e-4)
    nothing = torch.zeros_like(one, dtype=torch.bool)
    loss, _ = trainer.training_step(nn.Identity(), batch_of(one, other, nothing), draws)
    assert loss.item() == 0


def scan(*shape: int) -> Prepared:
    return Prepared("a scan", Volume.from_array(np.arange(np.prod(shape)).reshape(shape)), None)


def test_every_slice_and_the_next() -> None:
    given = scan(3, 4, 5)
    (arranged,) = Slice2SliceTrainer().arrange([given])
    assert arranged.truth is not None
    assert np.array_equal(arranged.volume.array, given.volume.array[..., :-1])
    assert np.array_equal(arranged.truth.array, given.volume.array[..., 1:])


@pytest.mark.parametrize("shape", [(6, 6), (6, 6, 1)])
def test_without_neighbours_there_is_another_method(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"a scan has no neighbouring slices.*take noise2void"):
        Slice2SliceTrainer().arrange([scan(*shape)])


def test_a_3d_network_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"give data\.patch two numbers"):
        Slice2SliceTrainer().look_at([Item(torch.zeros(4, 4, 4), None, 0.0, 1.0, (1.0,) * 3)])
    with pytest.raises(ConfigError, match=r"give data\.patch two numbers"):
        Slice2SliceTrainer().fit(
            np.random.default_rng(0).normal(size=(8, 8, 8)), patch=[4, 4, 4], steps=1, device="cpu"
        )


def test_it_denoises_what_is_correlated_within_slices() -> None:
    """Noise2Void would keep all of it: each voxel's noise is its neighbour's."""
    rng = np.random.default_rng(0)
    place = np.linspace(0, 3, 48)
    truth = np.repeat(20 * np.sin(place[:, None] + place)[..., None], 16, axis=2)
    draws = rng.normal(0, 5, truth.shape)
    noisy = (truth + (draws + np.roll(draws, 1, 0)) / 2**0.5).astype(np.float32)
    denoiser = Slice2SliceTrainer().fit(
        noisy, patch=[32, 32], steps=120, batch=8, device="cpu", learning_rate=4e-3, ema=0.95,
        validate_batches=1,
    )  # fmt: skip
    assert denoiser.dims == 2
    clean = denoiser(Volume.from_array(noisy)).array[0]
    assert np.mean((clean - truth) ** 2) < 0.25 * np.mean((noisy - truth) ** 2)
    assert set(denoiser.info["training"]["validation"]) == {"loss"}


def test_an_impossible_tolerance() -> None:
    with pytest.raises(ParameterError, match="above 0"):
        Slice2SliceTrainer(tolerance=0)
