from __future__ import annotations

import torch

from meddenoise.data.synthetic.pool import Pool


def test_the_window_moves_on_by_one() -> None:
    pool = Pool(0, (16, 16), size=3, every=5)
    first = [pool.at(0, which) for which in range(3)]
    assert pool.at(4, 1) is first[1]  # kept
    assert pool.at(5, 0) is first[1]
    assert pool.at(5, 1) is first[2]
    fresh = pool.at(5, 2)
    assert all(fresh is not old for old in first)
    assert len(pool._made) == 3  # the oldest is gone


def test_a_resumed_run_finds_the_same() -> None:
    went, began = Pool(7, (16, 16), size=3, every=2), Pool(7, (16, 16), size=3, every=2)
    for step in range(9):
        went.at(step, step % 3)
    assert torch.equal(went.at(9, 1).covers, began.at(9, 1).covers)
    assert not torch.equal(began.at(9, 1).patterns, Pool(8, (16, 16), size=3).at(9, 1).patterns)
