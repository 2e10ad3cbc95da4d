"""From scans in memory to a denoiser: what ``meddenoise train`` and ``Trainer.fit`` share."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from meddenoise._version import __version__
from meddenoise.config import Config, StabiliseConfig, parse
from meddenoise.data.draws import seeded
from meddenoise.data.patches import PatchSampler
from meddenoise.data.voxel_cache import VoxelCache
from meddenoise.errors import ConfigError
from meddenoise.hashing import file_hash
from meddenoise.inference import Denoiser
from meddenoise.networks import build_network
from meddenoise.training.arithmetic import Arithmetic
from meddenoise.training.checkpoint import Checkpoint
from meddenoise.training.correlated import warn_if_correlated
from meddenoise.training.engine import Engine, Result
from meddenoise.training.lying import lying
from meddenoise.training.partners import warn_if_unlike
from meddenoise.training.prepare import Prepared, as_items
from meddenoise.training.stabilised import choose_stabilisation
from meddenoise.training.trainer import TRAINERS, Trainer
from meddenoise.training.warm_start import warm_start
from meddenoise.volume import Volume

__all__ = ["Fitted", "fit", "fit_prepared", "new_network", "stabilisation_of", "with_own_patch"]


@dataclass(frozen=True)
class Fitted:
    """A trained denoiser and how its training went."""

    denoiser: Denoiser
    result: Result


def fit(
    trainer: Trainer,
    images: Any,
    targets: Any = None,
    *,
    network: str | nn.Module = "unet",
    patch: Sequence[int] | None = None,
    batch: int = 4,
    seed: int = 0,
    directory: str | Path | None = None,
    device: str = "auto",
    progress: bool = False,
    data: dict[str, Any] | None = None,
    stabilise: str = "none",
    coils: int = 1,
    **training: Any,
) -> Denoiser:
    """Train on scans in memory.

    Args:
        trainer: says what a step is.
        images: an array ``(X, Y[, Z])``, a :class:`Volume`, or a list of them.
        targets: their clean partners, in the same order.
        network: a registered name, or any module that maps ``(B, 1, *patch)`` to its shape
            (``(B, 2, *patch)`` to it for a trainer with a noise map).
        patch: voxels per axis; its length says whether the network is 2-D or 3-D. Default
            64 x 64 x 32 for volumes and 64 x 64 for images. No more than the smallest scan has.
        batch: patches a step.
        seed: of all random numbers.
        directory: keep checkpoints and logs there.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        progress: show a progress bar.
        data: other keys of a configuration's ``data`` section, such as ``augment``; none of those
            that say how files are found, read or kept.
        stabilise: make the scans' noise Gaussian around the network: ``"auto"``, ``"none"``,
            ``"rician"`` or ``"anscombe"``.
        coils: whose sum of squares a magnitude image is, for ``"rician"`` and ``"auto"``.
        training: keys of its ``training`` section, such as ``steps`` or ``learning_rate``.

    Returns:
        The denoiser: call it with a volume, or ``save`` it.

    Raises:
        ConfigError: an unknown key or an impossible value, one that says nothing to scans in
            memory, paths instead of scans, or scans that the trainer cannot learn from.
        ParameterError: an image of a wrong number of axes, or no such device.
        GeometryError: a target on another grid than its image.
        InputError: a scan that is constant or has no finite voxel.
        MeddenoiseError: the training diverged.
    """
    scans = _in_memory(images, targets)
    _check_in_memory(data or {})
    if patch is None:
        patch = [64, 64, 32] if scans[0].volume.dims == 3 else [64, 64]
    if not isinstance(patch, Sequence) or not all(isinstance(n, int | np.integer) for n in patch):
        raise ConfigError(
            f"patch is a number of voxels for each axis, such as [64, 64]: not {patch!r}."
        )
    config = parse(
        {
            "data": {
                "images": "in memory",
                "patch": _fitting(trainer.arrange(lying(scans, len(patch))), patch),
                "batch": batch,
                **(data or {}),
            },
            "trainer": {"name": _name_of(trainer), **trainer.describe()},
            "network": {"name": network if isinstance(network, str) else _name_of(network)},
            "noise": None
            if (stabilise, coils) == ("none", 1)
            else {"stabilise": stabilise, "coils": coils},
            "training": {"trackers": [], **training},
            "seed": seed,
        }
    )
    module = network if isinstance(network, nn.Module) else new_network(config, trainer.inputs)
    place = None if directory is None else Path(directory)
    return fit_prepared(
        config, trainer, module, scans, scans, directory=place, device=device, progress=progress
    ).denoiser


def new_network(config: Config, inputs: int = 1) -> nn.Module:
    """The configured network, of so many input channels; its first weights follow from the seed."""
    with seeded(config.seed):
        return build_network(
            config.network.name, dims=config.dims, inputs=inputs, **config.network.options
        )


def fit_prepared(
    config: Config,
    trainer: Trainer,
    network: nn.Module,
    train: Sequence[Prepared],
    val: Sequence[Prepared],
    *,
    directory: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    progress: bool = True,
    stabilise: StabiliseConfig | None = None,
    cache: VoxelCache | None = None,
) -> Fitted:
    """Train a network as a configuration says; see :class:`Engine` for the errors.

    ``stabilise`` is what :func:`stabilisation_of` gives, for a caller that has asked already;
    ``cache`` is what the scans are mapped from, if they are.
    """
    _check_axes(config, network)
    # A single scan trains and validates: it is prepared, and held, once.
    same = len(val) == len(train) and all(map(operator.is_, val, train))
    data = config.data
    train = trainer.arrange(lying(train, config.dims))
    val = train if same else trainer.arrange(lying(val, config.dims))
    if "patch" in data.model_fields_set:
        _check_patch(config, train)
    stabilise = stabilise or stabilisation_of(config, trainer, train)
    trainer.check(config, stabilise)
    start_from = config.training.start_from
    if start_from is not None:
        warm_start(network, start_from, config, stabilise, inputs=trainer.inputs)
    prepared = partial(
        as_items,
        normalise=data.normalise,
        dims=config.dims,
        # Without the truth, an estimate of the error by the noise's level ends a run early.
        with_sigma=trainer.needs_sigma or config.training.patience is not None,
        sigma=trainer.sigma,
        stabilise=stabilise,
        drawn=getattr(trainer, "noise", None),
        target_is_clean=trainer.target_is_clean,
        cache=cache,
    )
    items = prepared(train)
    trainer.look_at(items)
    if int(os.environ.get("RANK", "0")) == 0:
        axes = trainer.independent_axes(config.dims)
        warn_if_correlated(items, axes, type(trainer).__name__)
        warn_if_unlike(train, clean=trainer.target_is_clean)
    flips_only = data.augment == "rotations" and not trainer.turns
    sampler = partial(PatchSampler, patch=data.patch, in_place=cache is not None)
    patches = sampler(items, augment="flips" if flips_only else data.augment)
    del items  # their voxels are in the sampler's buffer
    engine = Engine(
        trainer,
        network,
        patches,
        val=patches.unturned() if same else sampler(prepared(val), augment="none"),
        settings=config.training,
        batch=data.batch,
        patch_from=data.patch_from,
        seed=config.seed,
        directory=directory,
        device=device,
        progress=progress,
        config=_kept(config),
        arithmetic=_arithmetic_of(directory) if resume else None,
    )
    result = engine.run(resume=resume)
    inference = config.inference
    if inference.restore is None:
        inference = inference.model_copy(update={"restore": trainer.blind})
    denoiser = Denoiser(
        result.network,
        dims=config.dims,
        normalise=data.normalise,
        inference=inference,
        device=device,
        noise_map=trainer.noise_map,
        stabilise=stabilise,
        info=_info(config, trainer, result, train[0].volume),
    )
    return Fitted(denoiser, result)


def _arithmetic_of(directory: Path | None) -> Arithmetic | None:
    """How a run that is resumed was computed; ``None`` if it has no checkpoint."""
    if directory is None:
        return None
    saved = Checkpoint.load(directory / "checkpoint", torch.device("cpu"))
    return Arithmetic.from_dict(saved.arithmetic) if saved and saved.arithmetic else None


def _fitting(scans: Sequence[Prepared], patch: Sequence[int]) -> list[int]:
    """The patch, no larger than any of the scans that have as many axes."""
    shapes = [s.volume.shape[: len(patch)] for s in scans if s.volume.dims >= len(patch)]
    return [min(along) for along in zip(patch, *shapes, strict=True)]


def with_own_patch(config: Config, trainer: Trainer, train: Sequence[Prepared]) -> Config:
    """The configuration with the patch that a run has, where nobody chose one.

    The default is cut to the scans. A run that is described by it could not be run again, for what
    is written down counts as chosen, and what was chosen must fit.
    """
    data = config.data
    if "patch" in data.model_fields_set or any(s.volume.dims < config.dims for s in train):
        return config  # scans of too few axes are refused later
    patch = _fitting(trainer.arrange(lying(train, config.dims)), data.patch)
    changes = {"patch": patch}
    if data.patch_from is not None:
        changes["patch_from"] = [min(pair) for pair in zip(data.patch_from, patch, strict=True)]
    return config.model_copy(update={"data": data.model_copy(update=changes)})


def _check_axes(config: Config, network: nn.Module) -> None:
    """Refuse a module that says that it sees other axes than patches have."""
    multiple = getattr(network, "multiple", config.data.patch)
    if isinstance(multiple, (int, float)):
        raise config.error(
            "data.patch",
            f"the network's attribute multiple is {multiple!r}: give a number per axis.",
        )
    axes = len(multiple)
    if axes != config.dims:
        raise config.error(
            "data.patch",
            f"the network sees {axes} axes and patches have {config.dims}: give both the same.",
        )


def _check_patch(config: Config, scans: Sequence[Prepared]) -> None:
    """Refuse a patch that somebody chose and that does not fit into a scan."""
    patch = config.data.patch
    for scan in scans:
        if any(p > n for p, n in zip(patch, scan.volume.shape, strict=False)):
            fits = ",".join(map(str, _fitting(scans, patch)))
            size, shape = (" x ".join(map(str, n)) for n in (patch, scan.volume.shape))
            raise config.error(
                "data.patch",
                f"{size} voxels do not fit into {scan.name}, which has {shape}: give "
                f"data.patch=[{fits}], which fits into all scans.",
            )


def stabilisation_of(
    config: Config, trainer: Trainer, train: Sequence[Prepared]
) -> StabiliseConfig:
    """How the scans of a run are stabilised; see :func:`choose_stabilisation`."""
    return choose_stabilisation(config, getattr(trainer, "noise", None), train)


def _kept(config: Config) -> str:
    """What must be the same in a resumed run.

    What it is called, where it writes and how it infers may differ.
    """
    sections = dict.fromkeys(("name", "output", "training", "inference"), True)
    return config.model_dump_json(
        exclude={**sections, "data": {"cache": True, "cache_directory": True}}
    )


def _info(config: Config, trainer: Trainer, result: Result, example: Volume) -> dict[str, Any]:
    """What the model file says of itself; nothing in it tells of a patient."""
    settings = config.training.model_dump(mode="json")
    if config.training.start_from is not None:
        settings["start_from"] = file_hash(config.training.start_from)  # no path: see above
    return {
        "network": {
            "name": config.network.name,
            "dims": config.dims,
            "options": config.network.options,
            "parameters": sum(p.numel() for p in result.network.parameters()),
        },
        # What a trainer says of itself has hashes for the files it was given.
        "trainer": {**config.trainer.model_dump(mode="json"), **trainer.describe()},
        "noise": None if config.noise is None else config.noise.model_dump(mode="json"),
        "training": {
            "steps": result.steps,
            "seconds": round(result.seconds, 1),
            "seed": config.seed,
            "patch": config.data.patch,
            "batch": config.data.batch,
            "validation": result.validation,
            "settings": settings,
        },
        "data": {
            "modality": example.modality,
            "units": example.units,
            "spacing_mm": [round(s, 4) for s in example.spacing],
        },
        "software": {"meddenoise": __version__, "torch": torch.__version__},
    }


def _in_memory(images: Any, targets: Any) -> list[Prepared]:
    inputs = [_as_volume(image) for image in _as_list(images)]
    if not inputs:
        raise ConfigError("There is no image to train on.")
    partners = (
        [None] * len(inputs) if targets is None else [_as_volume(t) for t in _as_list(targets)]
    )
    if len(partners) != len(inputs):
        raise ConfigError(f"There are {len(inputs)} images and {len(partners)} targets.")
    scans = []
    for number, (image, partner) in enumerate(zip(inputs, partners, strict=True)):
        if partner is not None:
            image.check_same_grid(partner, names=(f"image {number}", f"target {number}"))
        scans.append(Prepared(f"scan {number}", image, partner))
    return scans


def _check_in_memory(data: dict[str, Any]) -> None:
    """Raise for keys of ``data`` that say nothing to scans in memory."""
    of_files = ("images", "targets", "series", "units", "split", "cache_directory")
    said = [key for key in of_files if data.get(key) is not None]
    said += ["cache disk"] if data.get("cache") == "disk" else []
    if said:
        raise ConfigError(
            f"data.{said[0]} is for scans in files, and fit takes them in memory: leave it out."
        )


def _as_list(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _as_volume(image: Any) -> Volume:
    if isinstance(image, (str, os.PathLike)):
        raise ConfigError(f"fit takes scans in memory: give meddenoise.read({str(image)!r}).")
    return image if isinstance(image, Volume) else Volume.from_array(image)


def _name_of(part: object) -> str:
    """The registered name of a trainer, or the name of its class."""
    for name in TRAINERS.names():
        if TRAINERS.get(name) is type(part):
            return name
    return type(part).__name__
