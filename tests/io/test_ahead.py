from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from meddenoise.io.ahead import ahead, behind


def counting(until: int, seen: list[int], fault: BaseException | None = None) -> Iterator[int]:
    for number in range(until):
        seen.append(number)
        yield number
    if fault is not None:
        raise fault


def others() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name in ("reading ahead", "writing behind")]


def test_the_same_items_in_the_same_order() -> None:
    assert list(ahead(counting(100, []))) == list(range(100))
    assert behind(list, counting(100, [])) == list(range(100))
    assert not others()


def test_reading_ahead_is_ahead_but_not_far() -> None:
    seen: list[int] = []
    items = ahead(counting(100, seen), size=2)
    next(items)
    until = time.monotonic() + 5
    while len(seen) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(seen) == 4  # one taken, two waiting, one in hand
    items.close()  # type: ignore[attr-defined]
    assert not others()


def test_a_fault_while_reading_is_raised_in_its_turn() -> None:
    items = ahead(counting(2, [], ValueError("broken")))
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_a_fault_while_making_reaches_both_sides() -> None:
    heard: list[BaseException] = []

    def write(items: Iterator[int]) -> None:
        try:
            for _ in items:
                pass
        except BaseException as fault:
            heard.append(fault)
            raise

    with pytest.raises(KeyboardInterrupt):
        behind(write, counting(3, [], KeyboardInterrupt()))
    assert isinstance(heard[0], KeyboardInterrupt)
    assert not others()


def test_a_fault_while_writing_stops_the_making() -> None:
    seen: list[int] = []

    def write(items: Iterator[int]) -> None:
        next(items)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        behind(write, counting(1000, seen))
    assert len(seen) < 1000
    assert not others()
