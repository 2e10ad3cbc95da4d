"""A noisy copy of a scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meddenoise.errors import ParameterError
from meddenoise.noise.level import reference_intensity
from meddenoise.noise.registry import NoiseModel, build_noise

if TYPE_CHECKING:
    import torch

    from meddenoise.volume import Volume

__all__ = ["simulate"]


def simulate(
    volume: Volume, noise: NoiseModel | str, *, seed: int = 0, **parameters: Any
) -> Volume:
    """Add noise to a scan once; the same seed gives the same noise.

    Args:
        volume: the scan; not modified.
        noise: a model from :func:`meddenoise.noise.build_noise`, or the name of one with its
            ``parameters`` (``simulate(scan, "rician", sigma="5%")``). A percentage is of the
            99.9th percentile of the whole volume, so all channels of a 4-D scan get one
            level, as a scanner gives them.
        seed: a non-negative integer. Each channel has its own stream of draws.

    Returns:
        A volume with a line of history. Voxels that are not finite or padding are as before.

    Raises:
        ParameterError: an impossible parameter, a CT model on an image that is not in HU, or
            parameters beside a model that has its own.
        ConfigError: an unknown model or parameter.
    """
    import torch

    if isinstance(noise, str):
        noise = build_noise(noise, **parameters)
    elif parameters:
        raise ParameterError(
            "Parameters belong to the noise model: give them to build_noise, or give the "
            "model's name with them."
        )
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ParameterError(f"seed is {seed!r}: it must be an integer of at least 0.")
    if noise.units and volume.units != noise.units:
        has = f"in {volume.units!r}" if volume.units else "without a unit"
        raise ParameterError(
            f"The noise model {noise.name!r} is for CT only: it needs voxels in {noise.units}, "
            f"and this image is {has}. If its values are {noise.units}, say so in its units."
        )
    valid = volume.valid
    reference = reference_intensity(volume.array[valid])
    place = float(torch.rand((), generator=_generator(seed, 0))) if noise.is_random else None
    drawn = noise.draw(reference=reference, u=place)
    noisy = volume.array.copy()
    for channel, kept in enumerate(valid):
        clean = torch.from_numpy(np.where(kept, volume.array[channel], reference))
        result = noise.run(clean, drawn, generator=_generator(seed, channel + 1)).numpy()
        noisy[channel][kept] = result[kept]
    settings = "".join(f", {name} {_say(value)}" for name, value in drawn.items())
    note = f"simulated {noise.name} noise{settings}, seed {seed}"
    return volume.with_array(noisy, note=note)


def _generator(seed: int, stream: int) -> torch.Generator:
    """An independent stream of draws for each seed and stream number."""
    import torch

    state = np.random.SeedSequence([int(seed), stream]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))


def _say(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
