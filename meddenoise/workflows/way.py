"""One way of denoising scans, in memory and from file to file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from meddenoise.volume import Volume
from meddenoise.workflows.streamed import Stream

__all__ = ["Progress", "Way"]

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Way:
    """How scans are denoised.

    Attributes:
        name: for people: the method, or the model file and its hash.
        run: a noisy volume to a denoised one.
        stream: how a scan is denoised plane by plane that is too large for the memory; ``None`` if
            it cannot be.
    """

    name: str
    run: Callable[[Volume, Progress | None], Volume]
    stream: Stream | None = None
