"""The learning rate and the memory of the moving average, as functions of progress."""

from __future__ import annotations

import math

__all__ = ["ema_decay", "learning_rate"]


def learning_rate(progress: float, *, peak: float, warmup: float) -> float:
    """Linear rise over ``warmup``, then a cosine to zero at ``progress`` 1.

    Args:
        progress: share of the run that is done, 0 to 1.
        peak: the highest rate.
        warmup: share of the run that it rises.
    """
    if progress < warmup:
        # Never 0, or the first step would be lost.
        return peak * max(progress / warmup, 1e-2)
    fallen = (progress - warmup) / (1 - warmup) if warmup < 1 else 0.0
    return peak * 0.5 * (1 + math.cos(math.pi * min(fallen, 1.0)))


def ema_decay(step: int, *, decay: float) -> float:
    """The moving average forgets faster at the start: min(decay, (1 + t) / (10 + t))."""
    return min(decay, (1 + step) / (10 + step))
