"""``trainer: {name: auto}``: looks at the scans of a run and chooses how to learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meddenoise.config import Config, parse
from meddenoise.errors import ConfigError, InputError
from meddenoise.noise.estimation import NoiseEstimate, estimate
from meddenoise.training.lying import lying
from meddenoise.training.prepare import Prepared
from meddenoise.volume import Volume
from meddenoise.workflows.choosing import STABILISED, noise_seen, visible

__all__ = ["AUTO", "check_auto", "choose_trainer"]

AUTO = "auto"
"""What ``trainer.name`` is when the scans decide."""

# Patches by default; the thickest axis of a volume gets the last number.
_PATCH = (64, 64, 32)
# Fewer slices than that teach a 3-D network nothing.
_FEWEST_SLICES = 8


def choose_trainer(config: Config, scans: Sequence[Prepared]) -> tuple[Config, tuple[str, ...]]:
    """The same run with a trainer, and what else nobody decided: stabilisation and patch.

    - Clean partners teach most: ``supervised``.
    - Noise that is independent between voxels: ``staged``, Neighbor2Neighbor and then R2R.
    - Noise that is correlated along some axes: ``struct_noise2void`` with a mask along them; in a
      volume whose slices are independent and alike in spacing to their pixels, ``slice2slice`` is
      named as the other way.
    - Noise that is correlated along all axes: no trainer here learns from such scans alone.

    The largest scan stands for all.

    Args:
        config: whose trainer is ``auto``.
        scans: that it learns from, at least one.

    Returns:
        The configuration, and a sentence each on what was seen and what follows.

    Raises:
        ConfigError: options for ``auto``, no noise to be seen, or noise that no trainer fits.
    """
    check_auto(config)
    # A volume of a single slice is for a 2-D network, whichever way it lies.
    (scan,) = lying([max(scans, key=lambda each: each.volume.array.size)], dims=2)
    changes, why = _changes(config, scan)
    values = config.model_dump(mode="json", exclude_unset=True)
    for section, keys in changes.items():
        values[section] = {**(values.get(section) or {}), **keys}
    values["trainer"] = changes["trainer"]
    return parse(values), why


def check_auto(config: Config) -> None:
    """Raise :class:`ConfigError` where ``auto`` is given options: it has none."""
    if config.trainer.name == AUTO and config.trainer.options:
        named = ", ".join(config.trainer.options)
        raise config.error(
            "trainer", f"auto has no options ({named}): name a trainer to choose yourself."
        )


def _changes(config: Config, scan: Prepared) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    """Keys by section, and why."""
    patch = _patch(config, scan.volume)
    changes: dict[str, dict[str, Any]] = {"data": {"patch": patch}}
    if config.data.targets is not None:
        changes["trainer"] = {"name": "supervised"}
        return changes, ("There are clean partners to learn from.", "Taken: supervised.")
    try:
        noise = estimate(scan.volume)
    except InputError as fault:
        raise ConfigError(
            f"trainer auto cannot judge {scan.name} ({fault.args[0]}) Name a trainer; "
            "neighbor2neighbor and noise2void need no noise level."
        ) from None
    if not visible(noise, scan.volume):
        raise ConfigError(f"No noise can be seen in {scan.name}: there is nothing to learn.")
    told = [noise_seen(noise)]
    asked = config.noise is not None and "stabilise" in config.noise.model_fields_set
    if not asked and noise.model in STABILISED:
        changes["noise"] = {"stabilise": STABILISED[noise.model]}
        told.append("Its noise is stabilised, and its bias goes with it.")
    changes["trainer"] = _by_correlation(noise, len(patch), scan.name, told)
    told.append(f"Taken: {changes['trainer']['name']}.")
    return changes, tuple(told)


def _by_correlation(noise: NoiseEstimate, dims: int, name: str, told: list[str]) -> dict[str, Any]:
    """The trainer for such noise; adds to what is told."""
    reach = noise.correlation.reach[:dims]
    axes = [axis for axis, far in enumerate(reach) if far]
    if not axes:
        told.append("The noise is independent between voxels, as far as can be seen.")
        return {"name": "staged"}
    along = " and ".join("xyz"[axis] for axis in axes)
    told.append(f"The noise is correlated along {along}.")
    if len(axes) < dims:
        return {"name": "struct_noise2void", "extents": list(reach)}
    if dims == 2 and len(noise.correlation.reach) == 3 and not noise.correlation.reach[2]:
        told.append("Slices next to each other have independent noise.")
        return {"name": "slice2slice"}
    raise ConfigError(
        f"The noise of {name} is correlated along {along}: no trainer learns from such scans "
        "alone. Give clean or repeated scans as data.targets, or use 'meddenoise denoise "
        "--method bm4d'."
    )


def _patch(config: Config, volume: Volume) -> list[int]:
    """The configured one, or one that fits the scan."""
    if "patch" in config.data.model_fields_set:
        return config.data.patch
    if volume.dims == 2 or volume.shape[2] < _FEWEST_SLICES:
        return [min(_PATCH[0], n) for n in volume.shape[:2]]
    thick = max(range(3), key=lambda axis: (round(volume.spacing[axis], 2), axis))
    sizes = [_PATCH[2] if axis == thick else _PATCH[0] for axis in range(3)]
    return [min(size, n) for size, n in zip(sizes, volume.shape, strict=True)]
