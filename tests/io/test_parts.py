from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from meddenoise.io.parts import Originals, Taken

SIZES = (4, 1, 7, 3, 9)
WHOLE = np.random.default_rng(0).standard_normal((2, 3, sum(SIZES)))


def parts() -> Iterator[np.ndarray]:
    yield from np.split(WHOLE, np.cumsum(SIZES)[:-1], axis=2)


@pytest.mark.parametrize("asked", [(24,), (1,) * 24, (5, 10, 9), (11, 1, 12), (4, 1, 7, 12)])
def test_parts_of_any_size(asked: tuple[int, ...]) -> None:
    taken, before = Taken(parts()), Originals((part, part > 0) for part in parts())
    pieces = [(taken.next(count), *before.next(count)) for count in asked]
    assert [piece[0].shape[2] for piece in pieces] == list(asked)
    for found, expected in zip(zip(*pieces, strict=True), (WHOLE, WHOLE, WHOLE > 0), strict=True):
        assert np.array_equal(np.concatenate(found, axis=2), expected)


def test_what_was_asked_for_is_not_kept() -> None:
    """A scan that is read plane by plane does not fit into the memory."""
    given: list[weakref.ref] = []

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for _ in range(100):
            part = np.zeros((2, 3, 4))
            given.append(weakref.ref(part))
            yield part, part > 0

    before = Originals(pairs())
    for _ in range(66):
        before.next(6)
        assert sum(part() is not None for part in given) <= 2
