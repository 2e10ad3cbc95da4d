"""Lets a caller follow a run's validations, and stop it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Listener", "StopTraining", "listening", "tell"]

#: Called with the step and the values of a validation; may raise :class:`StopTraining`.
Listener = Callable[[int, Mapping[str, float]], None]

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


class StopTraining(Exception):
    """A listener wants no more of this run."""


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """While inside, every validation of a run in this thread is told to ``listener``."""
    before = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(before)


def tell(step: int, values: Mapping[str, float]) -> None:
    """Tell whoever listens of a validation."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(step, values)
