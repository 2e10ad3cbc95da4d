from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ConfigError
from meddenoise.noise import build_noise
from meddenoise.training import SupervisedTrainer, build_trainer


def batch(valid: Tensor | None = None, rows: int = 4) -> Batch:
    """Clean 100 everywhere, normalised by shift 50 and scale 10 (20 in the second half)."""
    scale = torch.full((rows, 1, 1, 1), 10.0)
    scale[rows // 2 :] = 20.0
    shift = torch.full((rows, 1, 1, 1), 50.0)
    target = (torch.full((rows, 1, 32, 32), 100.0) - shift) / scale
    reference = torch.arange(1, rows + 1) * 100.0
    return Batch(target + 1, target, valid, shift, scale, reference, torch.ones(len(target), 2))


def draws(step: int = 0, batch: int = 4, rank: int = 0, world: int = 1) -> Draws:
    return Draws(0, step, batch, rank, world)


@pytest.mark.parametrize(
    ("loss", "away", "expected"),
    [("l2", 2.0, 4.0), ("l1", -2.0, 2.0), ("charbonnier", 0.0, 1e-3), ("charbonnier", 3.0, 3.0)],
)
def test_the_distance_to_the_target(loss: str, away: float, expected: float) -> None:
    given = batch()
    given = replace(given, image=given.target + away)
    told, _ = build_trainer("supervised", loss=loss).training_step(nn.Identity(), given, draws())
    assert float(told) == pytest.approx(expected, rel=1e-5)


def test_voxels_that_were_not_measured_do_not_count() -> None:
    valid = torch.zeros(4, 1, 32, 32, dtype=torch.bool)
    valid[:, :, :16] = True
    given = batch(valid)
    spoilt = replace(given, image=torch.where(valid, given.image, 1e6))
    loss, _ = SupervisedTrainer().training_step(nn.Identity(), spoilt, draws())
    assert float(loss) == pytest.approx(0.5)


def test_noise_is_injected_in_the_units_of_the_scan() -> None:
    trainer = SupervisedTrainer(noise=build_noise("gaussian", sigma=5.0))
    noisy = trainer.inject(batch(), draws()).image * batch().scale + batch().shift
    assert noisy.mean(dim=(1, 2, 3)).tolist() == pytest.approx([100] * 4, abs=1)
    assert noisy.std(dim=(1, 2, 3)).tolist() == pytest.approx([5] * 4, rel=0.1)


def test_percentages_are_of_the_reference_of_each_scan() -> None:
    trainer = SupervisedTrainer(noise=build_noise("gaussian", sigma="10%"))
    noisy = trainer.inject(batch(), draws()).image * batch().scale
    assert noisy.std(dim=(1, 2, 3)).tolist() == pytest.approx([10, 20, 30, 40], rel=0.1)


def test_a_range_gives_every_patch_its_own_level() -> None:
    trainer = SupervisedTrainer(noise=build_noise("gaussian", sigma=[1.0, 20.0]))
    spread = (trainer.inject(batch(rows=32), draws(batch=32)).image * batch(rows=32).scale).std(
        dim=(1, 2, 3)
    )
    assert float(spread.min()) < 5
    assert float(spread.max()) > 15


def test_noise_is_fresh_at_every_step_and_repeats_with_the_seed() -> None:
    trainer = SupervisedTrainer(noise=build_noise("rician", sigma=5.0))
    one = trainer.inject(batch(), draws(1)).image
    assert torch.equal(one, trainer.inject(batch(), draws(1)).image)
    assert not torch.equal(one, trainer.inject(batch(), draws(2)).image)
    assert not torch.equal(one[0], one[1])


def test_processes_together_inject_what_one_injects() -> None:
    trainer, whole = SupervisedTrainer(noise=build_noise("gaussian", sigma=[1.0, 20.0])), batch()

    def rows(start: int) -> Batch:
        part = slice(start, start + 2)
        return Batch(
            whole.image[part], whole.target[part], None, whole.shift[part], whole.scale[part],  # type: ignore[index]
            whole.reference[part], whole.spacing[part],
        )  # fmt: skip

    parts = [trainer.inject(rows(2 * r), draws(batch=2, rank=r, world=2)).image for r in range(2)]
    assert torch.equal(torch.cat(parts), trainer.inject(whole, draws()).image)


def test_the_target_and_the_pair_are_not_touched() -> None:
    given = batch()
    image, target = given.image.clone(), given.target.clone()  # type: ignore[union-attr]
    SupervisedTrainer(noise=build_noise("gaussian", sigma=5.0)).training_step(
        nn.Identity(), given, draws()
    )
    assert torch.equal(given.image, image)
    assert given.target is not None
    assert torch.equal(given.target, target)


def test_several_losses_are_weighed_and_told_apart() -> None:
    given = batch()
    given = replace(given, image=given.target + 2, data_range=torch.full((4,), 100.0))
    trainer = build_trainer("supervised", loss={"l1": 0.5, "l2": 3, "ssim": 1})
    told, terms = trainer.training_step(nn.Identity(), given, draws())
    assert set(terms) == {"l1", "l2", "ssim"}
    assert (float(terms["l1"]), float(terms["l2"])) == (2.0, 4.0)
    assert float(told) == pytest.approx(1 + 12 + float(terms["ssim"]))
    assert trainer.describe()["loss"] == {"l1": 0.5, "l2": 3, "ssim": 1}


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("l3", r"trainer\.loss is impossible: There is no loss 'l3' \(did you mean"),
        ({"l1": 0}, r"trainer\.loss is impossible: The weight of the loss 'l1'"),
        ({"l1": "much"}, r"trainer\.loss.* must be"),
        (3, r"trainer\.loss must be a text or .*, not 3"),
    ],
)
def test_an_unknown_loss(loss: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_trainer("supervised", loss=loss)
