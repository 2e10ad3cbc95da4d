"""What trainers share that know the level of a scan's Gaussian noise."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from meddenoise.data.patches import Batch
from meddenoise.errors import ConfigError, ParameterError
from meddenoise.noise.level import parse_level
from meddenoise.training.trainer import Trainer

__all__ = ["KnownNoiseTrainer"]


class KnownNoiseTrainer(Trainer):
    """Learns from a scan and the standard deviation of its noise.

    Args:
        sigma: in the scan's units, or as a percentage of its 99.9th percentile, ``"10%"``;
            estimated for each scan if null.
        noise_map: tell the network the level as well, in a second channel: for one network
            that is to serve scans of several levels.
    """

    def __init__(self, sigma: float | str | None = None, noise_map: bool = False) -> None:
        self.sigma = None if sigma is None else parse_level(sigma)
        if self.sigma is not None and self.sigma.high == 0:
            raise ParameterError("sigma is 0: where there is no noise, there is nothing to learn.")
        self.noise_map = noise_map
        self.options: dict[str, Any] = {"sigma": sigma, "noise_map": noise_map}

    @property
    def needs_sigma(self) -> bool:
        """It cannot do without."""
        return True

    def independent_axes(self, dims: int) -> tuple[int, ...]:
        """All."""
        return tuple(range(dims))

    def level(self, batch: Batch) -> Tensor:
        """``(B, 1, ...)``: the standard deviation in the batch's normalised units.

        Raises:
            ConfigError: the batch does not carry it.
        """
        if batch.sigma is None:
            raise ConfigError(
                f"{type(self).__name__} learns from the noise's standard deviation, and the batch "
                "has none: give Item.sigma, or take unsure or neighbor2neighbor, which need none."
            )
        return batch.sigma.view_as(batch.scale) / batch.scale
