from __future__ import annotations

import numpy as np
import pytest
import torch

from meddenoise.data.draws import Draws, generator, seeded


def test_equal_keys_equal_numbers() -> None:
    assert torch.equal(
        torch.rand(4, generator=generator(1, "a")), torch.rand(4, generator=generator(1, "a"))
    )


@pytest.mark.parametrize("other", [(1, "b"), (2, "a"), ("1", "a"), (1, "a", 0), (1,), ("1a",)])
def test_other_keys_other_numbers(other: tuple[int | str, ...]) -> None:
    one, two = (
        torch.rand(4, generator=generator(1, "a")),
        torch.rand(4, generator=generator(*other)),
    )
    assert not torch.equal(one, two)


def test_numpy_numbers_are_the_same_key() -> None:
    assert generator(np.int64(7)).initial_seed() == generator(7).initial_seed()


def test_the_numbers_stay_the_same_between_versions() -> None:
    # A change here makes every recorded run impossible to repeat.
    assert generator(0, 1, "corner").initial_seed() == 2275941980987678830


def test_seeded_draws_are_those_of_the_seed_and_the_callers_go_on() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    before = torch.get_rng_state()
    with seeded(7):
        assert torch.equal(torch.rand(3), expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_leaves_the_draws_of_gpus_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", asked.append)
    with seeded(7):
        torch.rand(3)
    assert not asked


def test_what_takes_no_generator_follows_from_seed_step_and_process() -> None:
    def drawn(seed: int, step: int, rank: int) -> list[float]:
        with Draws(seed, step, batch=2, rank=rank, world=2).seeded():
            return torch.rand(3).tolist()

    before = torch.get_rng_state()
    assert drawn(0, 1, 0) == drawn(0, 1, 0)
    assert len({tuple(drawn(*key)) for key in ((0, 1, 0), (1, 1, 0), (0, 2, 0), (0, 1, 1))}) == 4
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_on_a_gpu_as_well() -> None:
    def drawn(step: int) -> list[float]:
        with Draws(0, step, batch=2, device="cuda").seeded():
            return torch.rand(3, device="cuda").tolist()

    before = torch.cuda.get_rng_state()
    assert drawn(1) == drawn(1) != drawn(2)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_tags_and_steps_do_not_share_a_stream() -> None:
    seen = [
        Draws(seed, step, batch=2).uniform(tag, 3)
        for seed in (0, 1)
        for step in (0, 1, "validation 0")
        for tag in ("a", "b")
    ]
    for i, one in enumerate(seen):
        assert not any(torch.equal(one, other) for other in seen[i + 1 :])


@pytest.mark.parametrize("draw", ["uniform", "normal", "integers"])
def test_processes_together_draw_what_one_draws(draw: str) -> None:
    def numbers(batch: int, rank: int, world: int) -> torch.Tensor:
        draws = Draws(3, 5, batch, rank, world)
        return draws.integers("t", 9, 4) if draw == "integers" else getattr(draws, draw)("t", 4)

    whole = numbers(6, 0, 1)
    assert torch.equal(torch.cat([numbers(2, rank, 3) for rank in range(3)]), whole)


def test_generators_belong_to_the_row_of_the_whole_batch() -> None:
    whole = [g.initial_seed() for g in Draws(3, 5, 4).generators("n")]
    parts = [g.initial_seed() for rank in range(2) for g in Draws(3, 5, 2, rank, 2).generators("n")]
    assert parts == whole
    assert len(set(whole)) == 4


def test_shapes_and_types() -> None:
    draws = Draws(0, 0, batch=3)
    assert draws.uniform("u").shape == (3,)
    assert draws.normal("n", 1, 4, 5).shape == (3, 1, 4, 5)
    whole = draws.integers("i", 5, 1000)
    assert whole.dtype == torch.int64
    assert whole.unique().tolist() == [0, 1, 2, 3, 4]


def test_uniform_is_below_one() -> None:
    numbers = Draws(0, 0, batch=1).uniform("u", 10**6)
    assert float(numbers.min()) >= 0
    assert float(numbers.max()) < 1
