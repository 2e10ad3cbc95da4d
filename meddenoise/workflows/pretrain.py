"""A network for any scan, trained on procedural anatomy: no scan is read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from meddenoise._version import __version__
from meddenoise.config import NormaliseConfig
from meddenoise.config.load import dump_values, validated
from meddenoise.config.pretrain import PretrainConfig, load_pretrain
from meddenoise.data.draws import seeded
from meddenoise.data.synthetic import Supply, SyntheticSampler
from meddenoise.errors import ConfigError
from meddenoise.hashing import file_hash
from meddenoise.inference import Denoiser
from meddenoise.inference.model_file import load_model, read_model_info
from meddenoise.io import atomic_file
from meddenoise.io.named import path_of
from meddenoise.networks import build_network
from meddenoise.training import Engine, Result, SupervisedTrainer
from meddenoise.workflows.provenance import provenance
from meddenoise.workflows.run_directory import check_directory, claimed

__all__ = ["Pretrained", "pretrain"]


@dataclass(frozen=True)
class Pretrained:
    """A finished run.

    Attributes:
        model: the model file.
        result: how the training went.
    """

    model: Path
    result: Result


def pretrain(
    config: PretrainConfig | Mapping[str, Any] | str | Path,
    *,
    overrides: Iterable[str] = (),
    output: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    progress: bool = True,
) -> Pretrained | None:
    """Train on endless procedural anatomy, and write a model file with its provenance.

    The network learns images in units of their noise's standard deviation;
    :class:`meddenoise.pretrained.ReadyDenoiser` brings scans into these units.

    Args:
        config: a YAML file, its contents as a dictionary, or a :class:`PretrainConfig`.
        overrides: ``key.sub=value`` each.
        output: the run directory; else ``output`` of the configuration, else ``runs/NAME``.
        resume: go on from the checkpoint in it.
        overwrite: replace it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        progress: show a progress bar.

    Returns:
        The run; ``None`` on all but the first of several processes.

    Raises:
        ConfigError: the configuration does not make sense, or the model to start from is of another
            network.
        ModelError: the model to start from is missing, damaged or of other sizes.
        OutputError: the directory exists, or cannot be written.
    """
    config = _as_config(config, overrides)
    network = _network(config)
    trainer = SupervisedTrainer(loss=config.loss)
    directory = path_of(output or config.output or Path("runs") / config.name)
    first = int(os.environ.get("RANK", "0")) == 0
    if first:
        check_directory(directory, [], resume=resume, overwrite=overwrite)
    with claimed(directory, resume=resume, overwrite=overwrite) if first else nullcontext():
        if first:
            _write(directory / "config.yaml", dump_values(_plain(config)))
            made = provenance(device, seed=config.seed)
            _write(directory / "provenance.json", json.dumps(made, indent=2) + "\n")
        engine = Engine(
            trainer,
            network,
            _patches(config),
            val=_patches(config),
            settings=config.training,
            batch=config.synthetic.batch,
            seed=config.seed,
            directory=directory,
            device=device,
            progress=progress,
            config=config.model_dump_json(exclude={"name", "output", "training", "inference"}),
        )
        result = engine.run(resume=resume)
    if not first:
        return None
    denoiser = Denoiser(
        result.network,
        dims=config.dims,
        normalise=NormaliseConfig(method="fixed"),
        inference=config.inference,
        device=device,
        info=_info(config, result),
    )
    return Pretrained(denoiser.save(directory / "model.safetensors"), result)


def _as_config(
    config: PretrainConfig | Mapping[str, Any] | str | Path, overrides: Iterable[str]
) -> PretrainConfig:
    if isinstance(config, (str, Path)):
        return load_pretrain(config, overrides)
    values = _plain(config) if isinstance(config, PretrainConfig) else config
    return validated(PretrainConfig, values, overrides)[0]


def _network(config: PretrainConfig) -> nn.Module:
    """With weights drawn by the seed, or those of the model to start from."""
    with seeded(config.seed):
        network = build_network(config.network.name, dims=config.dims, **config.network.options)
    start = config.training.start_from
    if start is not None:
        made = read_model_info(start)["network"]
        if (made["name"], made["dims"]) != (config.network.name, config.dims):
            raise ConfigError(
                f"training.start_from: {start} is a {made['dims']}-D network '{made['name']}' and "
                f"this run trains a {config.dims}-D '{config.network.name}': give another model."
            )
        load_model(start, network)
        network.train()
    return network


def _patches(config: PretrainConfig) -> Supply | SyntheticSampler:
    told = config.synthetic.model_dump(exclude={"batch", "workers", "reuse"})
    sampler = SyntheticSampler(**told, seed=config.seed)
    workers, reuse = config.synthetic.workers, config.synthetic.reuse
    if workers == 0 and reuse == 1:
        return sampler
    return Supply(sampler, workers=workers, reuse=reuse)


def _info(config: PretrainConfig, result: Result) -> dict[str, Any]:
    """What the model file says of itself: all that is needed to make it again."""
    settings = config.training.model_dump(mode="json")
    start = settings.pop("start_from")
    before = {}
    if start is not None:
        # What the weights learnt before, all the way back; a path says nothing elsewhere.
        told = read_model_info(start)
        before = {"before": {key: told.get(key) for key in ("training", "data", "software")}}
        before["before"]["file"] = file_hash(start)
    return {
        "network": {
            "name": config.network.name,
            "dims": config.dims,
            "options": config.network.options,
            "parameters": sum(p.numel() for p in result.network.parameters()),
        },
        "trainer": {"name": "supervised", "loss": config.loss},
        "training": {
            "steps": result.steps,
            "seconds": round(result.seconds, 1),
            "seed": config.seed,
            "validation": result.validation,
            "settings": settings,
            **before,
        },
        "data": {"procedural": config.synthetic.model_dump(mode="json")},
        "software": {"meddenoise": __version__, "torch": torch.__version__},
    }


def _plain(config: PretrainConfig) -> dict[str, Any]:
    return config.model_dump(mode="json")


def _write(path: Path, text: str) -> None:
    with atomic_file(path, overwrite=True) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")
