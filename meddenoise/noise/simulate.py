"""A noisy copy of a scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from meddenoise.errors import ParameterError
from meddenoise.noise.ct.slices import AIR_HU
from meddenoise.noise.level import reference_intensity
from meddenoise.noise.registry import NoiseModel, build_noise
from meddenoise.noise.space import run_in_space
from meddenoise.volume import Volume

if TYPE_CHECKING:
    import torch

__all__ = ["AIR_HU", "check_seed", "simulate"]


def simulate(
    volume: Volume | ArrayLike, noise: NoiseModel | str, *, seed: int = 0, **parameters: Any
) -> Volume:
    """Add noise to a scan once; the same seed gives the same noise.

    Args:
        volume: the scan, or an array ``(X, Y)``, ``(X, Y, Z)`` or ``(C, X, Y, Z)``; not modified.
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
    check_seed(seed)
    if not isinstance(volume, Volume):
        volume = Volume.from_array(volume)
    if noise.units and volume.units != noise.units:
        has = f"in {volume.units!r}."
        if not volume.units:
            has = (
                f"without a unit. If it is {noise.units}, say so: --units {noise.units}, "
                "data.units in a configuration, or the volume's units in Python."
            )
        raise ParameterError(
            f"The noise model {noise.name!r} is for CT only: it needs voxels in {noise.units}, "
            f"and this image is {has}"
        )
    valid = volume.valid
    reference = reference_intensity(volume.array[valid])
    places = torch.rand(len(noise.ranges), generator=_generator(seed, 0)).tolist()
    drawn = noise.draw(reference=reference, u=places)
    noisy = volume.array.copy()
    filler = volume.array.dtype.type(AIR_HU if noise.units == "HU" else 0)
    for channel, kept in enumerate(valid):
        clean = torch.from_numpy(np.where(kept, volume.array[channel], filler))
        result = run_in_space(
            noise,
            clean,
            drawn,
            dims=volume.dims,
            affine=volume.affine,
            generator=_generator(seed, channel + 1),
        ).numpy()
        noisy[channel][kept] = result[kept]
    settings = "".join(f", {name} {_say(value)}" for name, value in drawn.items())
    note = f"simulated {noise.name} noise{settings}, seed {seed}"
    return volume.with_array(noisy, note=note)


def check_seed(seed: int) -> None:
    """Raise :class:`ParameterError` unless it is an integer of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ParameterError(f"seed is {seed!r}: it must be an integer of at least 0.")


def _generator(seed: int, stream: int) -> torch.Generator:
    """An independent stream of draws for each seed and stream number."""
    import torch

    state = np.random.SeedSequence([int(seed), stream]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))


def _say(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    # A map, a matrix: which one does not go in a line of history.
    return str(value) if isinstance(value, (str, int)) else "given"
