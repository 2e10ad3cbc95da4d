"""A configuration in, a run directory out."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddenoise.config import Config, dump, load, parse
from meddenoise.data import Split, find_cases, split_by_subject
from meddenoise.data.voxel_cache import VoxelCache
from meddenoise.errors import InputError, ParameterError
from meddenoise.evaluation import compare
from meddenoise.filters import filter_names
from meddenoise.inference import Denoiser
from meddenoise.io import atomic_file, extension_for, write
from meddenoise.noise import NoiseModel, build_noise
from meddenoise.report import preview
from meddenoise.training import Result, SupervisedTrainer, Trainer, build_trainer, trainer_names
from meddenoise.training.cohort import load_scans
from meddenoise.training.fit import fit_prepared, new_network, stabilisation_of, with_own_patch
from meddenoise.training.prepare import Prepared, as_items, prepare
from meddenoise.volume import Volume
from meddenoise.workflows.choosing_trainer import AUTO, check_auto, choose_trainer
from meddenoise.workflows.kept_blank import with_blank_kept
from meddenoise.workflows.provenance import provenance, voxel_hash
from meddenoise.workflows.run_directory import (
    check_directory,
    check_same_scans,
    claimed,
    directory_of,
)

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Run", "train"]


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        directory: where everything is.
        metrics: what ``metrics.json`` holds.
        denoiser: the trained model.
    """

    directory: Path
    metrics: dict[str, Any]
    denoiser: Denoiser


def train(
    config: Config | Mapping[str, Any] | str | Path,
    *,
    overrides: Iterable[str] = (),
    output: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    progress: bool = True,
    trainer: Trainer | None = None,
) -> Run | None:
    """Train a model, denoise the test scans with it, and score them where truth is known.

    Args:
        config: a YAML file, its contents as a dictionary, or a :class:`Config`.
        overrides: ``key.sub=value`` each.
        output: the run directory; else ``output`` of the configuration, else ``runs/NAME``.
        resume: go on from the checkpoint in it.
        overwrite: replace it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...
        progress: show a progress bar.
        trainer: an own trainer instead of the configuration's.

    Returns:
        The run; ``None`` on all but the first of several processes.

    Raises:
        ConfigError: the configuration, or its scans, do not make sense.
        OutputError: the directory exists, or cannot be written.
        InputError: a scan that cannot be read or learned from.
        MeddenoiseError: the training diverged.
    """
    config = _as_config(config, overrides)
    noise = _noise(config)
    network = None
    if trainer is None and config.trainer.name == AUTO:
        check_auto(config)
    else:
        trainer = trainer or _trainer(config, noise)
        network = new_network(config, trainer.inputs)
    data = config.data
    cases = find_cases(data.images, data.targets, series=data.series, units=data.units or "")
    shares = data.split
    split = split_by_subject(cases, (shares.train, shares.val, shares.test), config.seed)
    directory = directory_of(config, output)
    first = int(os.environ.get("RANK", "0")) == 0
    if first:
        models = {
            "training.start_from": config.training.start_from,
            "trainer.teacher": config.trainer.options.get("teacher"),
        }
        check_directory(directory, cases, resume=resume, overwrite=overwrite, models=models)
    with load_scans(
        (*split.train, *split.val),
        lambda case, cache: prepare(case, noise, config.seed, cache),
        data,
        directory,
    ) as (scans, cache):
        return _trained(
            config,
            noise,
            trainer,
            network,
            split,
            scans,
            cache,
            directory,
            device=device,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )


def _trained(
    config: Config,
    noise: NoiseModel | None,
    trainer: Trainer | None,
    network: nn.Module | None,
    split: Split,
    scans: dict[str, Prepared],
    cache: VoxelCache | None,
    directory: Path,
    *,
    device: str,
    resume: bool,
    overwrite: bool,
    progress: bool,
) -> Run | None:
    """The run, when its scans are at hand; without a trainer, they choose one."""
    first = int(os.environ.get("RANK", "0")) == 0
    learned = [scans[case.name] for case in split.train]
    if trainer is None:
        config, why = choose_trainer(config, learned)
        if first:
            warnings.warn(" ".join(why), stacklevel=3)
        trainer = _trainer(config, noise)
    config = with_own_patch(config, trainer, learned)
    network = network or new_network(config, trainer.inputs)
    stabilise = stabilisation_of(config, trainer, learned)
    for case in split.test:
        if first and case.name not in scans and not case.is_sample:
            # A scan that cannot be denoised is found now, not after hours of training.
            scan = prepare(case, noise, config.seed)
            as_items(
                [scan],
                config.data.normalise,
                config.dims,
                with_sigma=trainer.noise_map,
                stabilise=stabilise,
                drawn=trainer.noise if isinstance(trainer, SupervisedTrainer) else None,
            )
    with claimed(directory, resume=resume, overwrite=overwrite) if first else nullcontext():
        hashes = {name: voxel_hash(scan.volume, scan.truth) for name, scan in scans.items()}
        if first and resume:
            check_same_scans(directory, split, hashes)
        if first and not (directory / "config.yaml").exists():
            _describe(directory, config, split)
            # Also of a run that does not come to its end.
            made = provenance(device, seed=config.seed, data=hashes)
            _write_json(directory / "provenance.json", made)
        fitted = fit_prepared(
            config,
            trainer,
            network,
            learned,
            [scans[case.name] for case in split.val],
            directory=directory,
            device=device,
            resume=resume,
            progress=progress,
            stabilise=stabilise,
            cache=cache,
        )
    if not first:
        return None
    _describe(directory, config, split)
    model = fitted.denoiser.save(directory / "model.safetensors")
    denoiser = Denoiser.load(model, network=fitted.denoiser.network, device=device)
    if cache is not None:
        # Mapped scans have no header to be written back with: those to test on are read anew.
        scans = {}
    tests = (scans.get(case.name) or prepare(case, noise, config.seed) for case in split.test)
    rows: list[dict[str, Any]] = []
    for scan in tests:
        hashes[scan.name] = voxel_hash(scan.volume, scan.truth)
        rows.append(_test(directory, denoiser, scan, picture=not rows))
    made = provenance(denoiser.device, seed=config.seed, data=hashes)
    if fitted.result.arithmetic is not None:
        made["arithmetic"] = fitted.result.arithmetic.as_dict()
    metrics = _metrics(rows, fitted.result, denoiser, made)
    _write_json(directory / "provenance.json", made)
    _write_json(directory / "metrics.json", metrics)
    return Run(directory, metrics, denoiser)


def _metrics(
    rows: list[dict[str, Any]], result: Result, denoiser: Denoiser, made: dict[str, Any]
) -> dict[str, Any]:
    """What ``metrics.json`` holds."""
    return {
        "test": _summary(rows),
        "validation": result.validation,
        "train": {
            "steps": result.steps,
            "stopped_early": result.stopped_early,
            "seconds": round(result.seconds, 2),
            "voxels_per_second": result.voxels_per_second,
            "parameters": denoiser.info["network"]["parameters"],
        },
        "run": made,
    }


def _as_config(config: Config | Mapping[str, Any] | str | Path, overrides: Iterable[str]) -> Config:
    if isinstance(config, (str, Path)):
        return load(config, overrides)
    if isinstance(config, Config):
        # What was not set stays so: some of it follows from the scans.
        config = config.model_dump(mode="json", exclude_unset=True)
    return parse(config, overrides)


def _noise(config: Config) -> NoiseModel | None:
    if config.noise is None or config.noise.name is None:
        return None
    try:
        return build_noise(config.noise.name, **config.noise.options)
    except InputError as fault:
        raise config.error("noise", str(fault)) from None


def _trainer(config: Config, noise: NoiseModel | None) -> Trainer:
    name = config.trainer.name
    if name in filter_names() and name not in trainer_names():
        raise config.error(
            "trainer",
            f"'{name}' is a method without training: use 'meddenoise denoise IN OUT --method "
            f"{name}', or take a trainer: {', '.join(trainer_names())}.",
        )
    try:
        trainer = build_trainer(config.trainer.name, **config.trainer.options)
    except InputError as fault:
        raise config.error("trainer", str(fault)) from None
    if isinstance(trainer, SupervisedTrainer) and config.data.targets is None:
        # Clean scans: noise is drawn anew at every step; without it the sample's own is learned.
        trainer.noise = noise
    return trainer


def _describe(directory: Path, config: Config, split: Split) -> None:
    """What the run is made of; a resumed one is described anew only when it has gone through."""
    _write_text(directory / "config.yaml", dump(config))
    _write_json(directory / "splits.json", split.as_dict())


def _test(directory: Path, denoiser: Denoiser, scan: Prepared, *, picture: bool) -> dict[str, Any]:
    """Denoise one test scan, write it in its own format, and score it."""
    denoised = with_blank_kept(scan.volume, denoiser(scan.volume))
    _write_scan(directory / "denoised", scan.name, denoised)
    if scan.made:
        noisy = {"dtype": "float32", "derivation": "noise simulation"}  # nothing clipped
        _write_scan(directory / "noisy", scan.name, scan.volume, **noisy)
        if scan.truth is not None:
            _write_scan(directory / "truth", scan.name, scan.truth)
    row: dict[str, Any] = {"name": scan.name}
    captions = {}
    if scan.truth is not None:
        try:
            scored = {
                side: compare(scan.truth, volume)
                for side, volume in (("noisy", scan.volume), ("denoised", denoised))
            }
        except ParameterError as fault:
            # A truth that is 0 nearly everywhere has no range: no reason to lose the whole run.
            scored, row["no_scores"] = {}, str(fault)
            warnings.warn(
                f"{scan.name} has no scores ({fault}) Score it by 'meddenoise evaluate'.",
                stacklevel=4,
            )
        for side, metrics in scored.items():
            row[side] = metrics.as_dict()
            captions[side] = f"PSNR {metrics.psnr:.2f} dB, SSIM {metrics.ssim:.3f}"
    if picture:
        preview(directory / "preview.png", scan.volume, denoised, scan.truth, captions=captions)
    return row


def _write_scan(directory: Path, name: str, volume: Volume, **how: Any) -> None:
    extension = extension_for(volume)
    # A dot in the name of a DICOM series would be taken for an extension.
    stem = name if extension else name.replace(".", "_")
    write(volume, directory / f"{stem}{extension}", overwrite=True, **how)


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the scored volumes, and every volume's own numbers."""
    summary: dict[str, Any] = {"volumes": rows}
    for side in ("noisy", "denoised"):
        scored = [row[side] for row in rows if side in row]
        for metric in ("psnr", "ssim", "rmse", "mae"):
            values = [row[metric] for row in scored if row[metric] is not None]
            if values:
                summary.setdefault(side, {})[metric] = sum(values) / len(values)
    return summary


def _write_text(path: Path, text: str) -> None:
    with atomic_file(path, overwrite=True) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def _write_json(path: Path, value: Any) -> None:
    _write_text(path, json.dumps(value, indent=2) + "\n")
