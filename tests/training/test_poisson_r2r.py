from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ParameterError
from meddenoise.training import build_trainer
from meddenoise.training.poisson_r2r import PoissonR2RTrainer

ROWS = 16


def draws(step: int = 0) -> Draws:
    return Draws(0, step, ROWS)


def counted(mean: float = 40.0, unit: float = 2.0) -> Batch:
    """Poisson counts, ``unit`` of them an image unit, normalised."""
    generator = torch.Generator().manual_seed(0)
    counts = torch.poisson(torch.full((ROWS, 1, 32, 32), mean), generator=generator)
    column = torch.ones(ROWS, 1, 1, 1)
    shift, scale = 10 * column, 4 * column
    image = (counts / unit - shift) / scale
    return Batch(image, None, None, shift, scale, column.flatten(), torch.ones(ROWS, 2))


class Recorder(nn.Module):
    """Keeps what it was given, and halves it."""

    def forward(self, x: Tensor) -> Tensor:
        self.given = x
        return 0.5 * x


@pytest.mark.parametrize("alpha", [0.15, 0.5])
def test_in_the_mean_it_is_the_error_to_the_truth_and_a_constant(alpha: float) -> None:
    batch, truth = counted(), (40 / 2 - 10) / 4
    trainer = PoissonR2RTrainer(alpha=alpha, counts_per_unit=2.0)
    told, true, noise = [], [], []
    for step in range(8):
        network = Recorder()
        told.append(trainer.training_step(network, batch, draws(step))[0])
        true.append((0.5 * network.given - truth).square().mean())
        noise.append(network.given.var())
    # Of the counts set aside, in normalised units.
    constant = 40 / alpha / (2 * 4) ** 2
    expected = torch.stack(true).mean() + constant
    assert torch.stack(told).mean().item() == pytest.approx(expected.item(), rel=0.03)
    assert torch.stack(noise).mean().item() == pytest.approx(40 / (1 - alpha) / 64, rel=0.03)


def test_nothing_is_lost_and_both_parts_are_independent() -> None:
    batch, network = counted(), Recorder()
    PoissonR2RTrainer(alpha=0.5, counts_per_unit=2.0).training_step(network, batch, draws())
    kept = network.given * 4 + 10
    whole = batch.image * 4 + 10
    aside = 2 * whole - kept
    for part in (kept, aside):  # whole counts again
        counts = part * 0.5 * 2
        assert torch.allclose(counts, counts.round(), atol=1e-3)
        assert counts.min() >= 0
    together = torch.stack([kept.flatten(), aside.flatten()]).corrcoef()
    assert abs(together[0, 1].item()) < 0.03


def test_voxels_that_were_not_measured_do_not_count() -> None:
    batch = counted()
    valid = torch.rand(batch.image.shape) > 0.5
    spoilt = replace(batch, image=torch.where(valid, batch.image, 0.123), valid=valid)
    trainer, network = PoissonR2RTrainer(counts_per_unit=2.0), Recorder()
    loss, _ = trainer.training_step(network, spoilt, draws())
    whole, _ = trainer.training_step(Recorder(), batch, draws())
    assert loss.item() == pytest.approx(0.5 * whole.item(), rel=0.1)
    assert torch.equal(network.given[~valid], spoilt.image[~valid])


def test_what_holds_no_counts_is_refused() -> None:
    batch = counted()
    with pytest.raises(ParameterError, match="needs counts"):
        PoissonR2RTrainer(counts_per_unit=1.7).training_step(Recorder(), batch, draws())


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"alpha": 1.0}, {"counts_per_unit": 0.0}])
def test_impossible_options(options: dict[str, float]) -> None:
    with pytest.raises(ParameterError):
        build_trainer("poisson_r2r", **options)
