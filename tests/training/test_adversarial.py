from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.networks import build_network
from meddenoise.training import Engine, build_trainer
from meddenoise.training.adversarial import AdversarialTrainer, gradient_penalty

Make = Callable[..., Engine]
KINDS = ("hinge", "wgan-gp")


def trainer(kind: str = "hinge", **options: Any) -> AdversarialTrainer:
    made = build_trainer("adversarial", critic=kind, critic_width=4, **options)
    assert isinstance(made, AdversarialTrainer)
    return made


def batch(noise: float = 0.5, seed: int = 0) -> Batch:
    """Smooth targets with noisy images."""
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(-1, 1, 16)
    target = (ramp[:, None] * ramp).expand(8, 1, 16, 16) * torch.rand(
        8, 1, 1, 1, generator=generator
    )
    image = target + noise * torch.randn(target.shape, generator=generator)
    column = torch.ones(8, 1, 1, 1)
    return Batch(image, target, None, 0 * column, column, torch.ones(8), torch.ones(8, 2))


def draws(step: int = 0) -> Draws:
    return Draws(0, step, 8)


def critic_bits(made: AdversarialTrainer) -> list[Tensor]:
    return [value.clone() for value in made.state_dict()["critic"].values()]


@pytest.mark.parametrize("kind", KINDS)
def test_the_critic_learns_to_tell_noisy_from_clean(kind: str) -> None:
    made = trainer(kind, critic_rate=3e-3)
    for step in range(80):
        loss, terms = made.training_step(nn.Identity(), batch(seed=step), draws(step))
    assert float(terms["critic"]) < (0.6 if kind == "hinge" else -0.2)  # at first 2, or 10
    fresh = batch(seed=1000)
    assert made._critic is not None
    with torch.no_grad():
        clean, noisy = made._critic(fresh.target), made._critic(fresh.image)
    assert bool((clean > noisy.mean()).all())
    assert float(loss) == pytest.approx(
        float(terms["distance"] + made.weight * terms["opinion"]), rel=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_is_asked_for_more_of_what_the_critic_likes(kind: str) -> None:
    """Its gradient holds the critic's; the critic gets none of the network's."""
    made, given = trainer(kind, weight=3.0), batch()
    network = build_network("dncnn", dims=2, depth=2, width=3)
    before = None
    for step in range(2):
        network.zero_grad()
        loss, _ = made.training_step(network, given, draws(step))
        before = critic_bits(made)
        loss.backward()
    with_critic = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()
    made.distance(compared(network, given))[0].backward()
    alone = [p.grad for p in network.parameters() if p.grad is not None]
    assert not all(torch.allclose(a, b) for a, b in zip(with_critic, alone, strict=True))
    assert before is not None
    assert all(torch.equal(a, b) for a, b in zip(before, critic_bits(made), strict=True))
    assert made._critic is not None
    assert all(parameter.requires_grad for parameter in made._critic.parameters())


def compared(network: nn.Module, given: Batch) -> Any:
    from meddenoise.training.losses import Compared

    return Compared.of(network(given.image), given)


def test_validation_leaves_the_critic_alone() -> None:
    made = trainer()
    made.training_step(nn.Identity(), batch(), draws())
    before = critic_bits(made)
    with torch.no_grad():
        one, _ = made.training_step(nn.Identity(), batch(), draws(1))
        two, _ = made.training_step(nn.Identity(), batch(), draws(1))
    assert torch.equal(one, two)
    assert all(torch.equal(a, b) for a, b in zip(before, critic_bits(made), strict=True))


def test_the_penalty_is_of_the_slope() -> None:
    class Slope(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 3 * x.flatten(1)[:, 0]

    assert float(gradient_penalty(Slope(), torch.randn(5, 1, 4, 4))) == pytest.approx(4.0)


def test_more_steps_of_the_critic() -> None:
    one, three = trainer("wgan-gp"), trainer("wgan-gp", critic_steps=3)
    for made in (one, three):
        made.training_step(nn.Identity(), batch(), draws())
    assert three.state_dict()["optimizer"]["state"][0]["step"] == 3
    assert not all(
        torch.equal(a, b) for a, b in zip(critic_bits(one), critic_bits(three), strict=True)
    )


def test_what_was_not_measured_is_no_sign_for_the_critic() -> None:
    valid = torch.ones(8, 1, 16, 16, dtype=torch.bool)
    valid[..., 5:9] = False
    given = batch()
    for kind in KINDS:
        results = []
        for fill in (0.0, 100.0):
            image = torch.where(valid, given.image, fill)
            made = trainer(kind)
            loss, _ = made.training_step(
                nn.Identity(), replace(given, image=image, valid=valid), draws()
            )
            results.append((loss, critic_bits(made)))
        assert torch.equal(results[0][0], results[1][0])
        assert all(torch.equal(a, b) for a, b in zip(results[0][1], results[1][1], strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_is_resumed_to_the_bit_critic_and_all(
    make: Make, tmp_path: Path, kind: str
) -> None:
    class Killed(Exception):
        pass

    class KilledAt(AdversarialTrainer):
        at = -1

        def training_step(self, network: nn.Module, batch: Batch, draws: Draws) -> Any:
            if draws.step == self.at:
                raise Killed
            return super().training_step(network, batch, draws)

    def run(directory: Path | None, at: int = -1) -> Engine:
        made = KilledAt(critic=kind, critic_width=4, weight=0.5)  # type: ignore[arg-type]
        made.at = at
        return make(directory, made, target=True)

    straight = run(None)
    expected = straight.run()
    with pytest.raises(Killed):
        run(tmp_path, at=8).run()
    resumed = run(tmp_path)
    result = resumed.run(resume=True)
    one, two = straight.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)
    one, two = straight.trainer.state_dict(), resumed.trainer.state_dict()
    assert all(torch.equal(one["critic"][key], two["critic"][key]) for key in one["critic"])
    for key, state in one["optimizer"]["state"].items():
        assert all(torch.equal(state[k], two["optimizer"]["state"][key][k]) for k in state)
    assert result.validation == expected.validation
    # The critic did learn between the checkpoint at step 5 and the end.
    saved = torch.load(tmp_path / "checkpoint" / "last.pt", weights_only=True)["trainer"]
    assert set(saved) == {"critic", "optimizer"}
    assert int(saved["optimizer"]["state"][0]["step"]) == 12


def test_a_trainer_used_twice_begins_with_a_new_critic(make: Make) -> None:
    made = trainer()
    make(trainer=made, target=True).run()
    first = critic_bits(made)
    made.look_at([])
    make(trainer=made, target=True).run()
    assert all(torch.equal(a, b) for a, b in zip(first, critic_bits(made), strict=True))


def test_half_precision_does_not_touch_the_critic(make: Make) -> None:
    made = trainer()
    make(trainer=made, target=True, precision="bf16").run()
    assert {value.dtype for value in critic_bits(made)} == {torch.float32}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": 0.0}, "without it take supervised"),
        ({"critic_steps": 0}, "at least 1"),
        ({"critic_rate": 0.0}, "above 0"),
    ],
)
def test_impossible_numbers(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        AdversarialTrainer(**options)


def test_a_typo(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.critic must be 'hinge' or 'wgan-gp'"):
        build_trainer("adversarial", critic="wgan")
    with pytest.raises(ConfigError, match="learns from clean partners"):
        make(trainer=trainer())
