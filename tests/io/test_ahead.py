from __future__ import annotations

import contextlib
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator

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
    while len(seen) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(seen) == 3  # one taken, two made or being made
    items.close()
    assert not others()


class Thing:
    """What can be looked for."""


def counted(things: Iterator[Thing]) -> int:
    number = 0
    for thing in things:
        number += 1
        del thing
    return number


@pytest.mark.parametrize(
    "across", [lambda made: counted(ahead(made)), lambda made: behind(counted, made)]
)
def test_what_has_gone_through_is_kept_by_neither_side(
    across: Callable[[Iterator[Thing]], int],
) -> None:
    alive: list[weakref.ref[Thing]] = []
    kept: list[int] = []

    def made() -> Iterator[Thing]:
        for _ in range(10):
            time.sleep(0.02)  # the other side waits
            kept.append(sum(one() is not None for one in alive))
            thing = Thing()
            alive.append(weakref.ref(thing))
            yield thing
            del thing

    assert across(made()) == 10
    assert kept == [0] * 10


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


class Fault(Exception):
    pass


def made_badly() -> Iterator[int]:
    yield 0
    raise Fault


def written_badly(items: Iterator[int]) -> None:
    next(items)
    raise Fault


@pytest.mark.parametrize(
    "work",
    [
        lambda: [*ahead(made_badly())],
        lambda: behind(list, made_badly()),
        lambda: behind(list, ahead(made_badly())),
        lambda: behind(written_badly, counting(1000, [])),
    ],
)
def test_a_fault_is_gone_when_it_was_dealt_with(work: Callable[[], object]) -> None:
    # What it holds, such as a thread that reads ahead, must not wait for the garbage collector.
    gc.disable()
    try:
        with contextlib.suppress(Fault):
            work()
        assert not any(isinstance(thing, Fault) for thing in gc.get_objects())
    finally:
        gc.enable()
