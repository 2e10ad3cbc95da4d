"""A grid of methods by volumes by noises, and the table that compares them."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from meddenoise.config.benchmark import BenchmarkConfig, MethodConfig, load_benchmark
from meddenoise.config.load import validated
from meddenoise.config.schema import NoiseConfig
from meddenoise.data.cases import find_cases
from meddenoise.data.draws import generator
from meddenoise.errors import ConfigError, InputError, OutputError, ParameterError
from meddenoise.evaluation import compare
from meddenoise.hashing import file_hash
from meddenoise.io import atomic_file, write
from meddenoise.io.named import path_of
from meddenoise.noise import build_noise, simulate
from meddenoise.noise.registry import NOISES
from meddenoise.report.benchmark_table import Cell, markdown, summarise, write_csv
from meddenoise.report.comparison import Panel, comparison
from meddenoise.volume import Volume
from meddenoise.workflows.batch import way_to_denoise
from meddenoise.workflows.kept_blank import with_blank_kept
from meddenoise.workflows.provenance import provenance, voxel_hash

__all__ = ["Benchmark", "benchmark"]

NOISY, TRUTH = "noisy", "truth"
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Benchmark:
    """A finished comparison.

    Attributes:
        directory: where ``benchmark.md``, ``.csv``, ``.json`` and ``comparison.png`` are.
        cells: every method on every volume with every noise.
        table: the Markdown.
    """

    directory: Path
    cells: tuple[Cell, ...]
    table: str

    @property
    def failed(self) -> tuple[Cell, ...]:
        """The cells without a result."""
        return tuple(cell for cell in self.cells if cell.error)


@dataclass(frozen=True)
class _Scene:
    """One noisy volume and its truth."""

    volume: str
    noise: str
    noisy: Volume
    truth: Volume


@dataclass(frozen=True)
class _Done:
    """What a method gave for one scene."""

    denoised: Volume
    seconds: float
    training_seconds: float | None = None
    megabytes: float | None = None


Method = Callable[[Volume], _Done]


def benchmark(
    config: BenchmarkConfig | Mapping[str, Any] | str | Path,
    *,
    overrides: Iterable[str] = (),
    output: str | Path | None = None,
    overwrite: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> Benchmark:
    """Run every method on every volume with every noise, and compare them with the first.

    Noise is added once to each clean volume, the same for all methods, as a function of the seed
    and the volume's name. What is known so far is written before and after each method.

    Args:
        config: a YAML file, its contents, or a :class:`BenchmarkConfig`.
        overrides: ``key.sub=value`` each.
        output: the directory for the results; else ``output`` of the configuration, else
            ``runs/benchmark``.
        overwrite: replace an earlier comparison there.
        device: for networks.
        progress: called with a line for each cell.

    Raises:
        ConfigError: the configuration, a method in it, or a crop larger than a volume.
        OutputError: the directory is there already.
        InputError: a volume that cannot be read, or noise that does not fit it.
    """
    from meddenoise.training.engine import Diverged

    plan = _as_config(config, overrides)
    if taken := {NOISY, TRUTH} & {method.name for method in plan.methods}:
        raise ConfigError(
            f"A method is called '{min(taken)}', which is the name of the scans before any method "
            f"({NOISY}) or of those without noise ({TRUTH}): give it another label."
        )
    directory = path_of(output or plan.output or "runs/benchmark")
    methods = {
        method.name: _prepared(method, f"methods.{number}", device)
        for number, method in enumerate(plan.methods)
    }
    _check_free(directory, overwrite)
    scenes = list(_scenes(plan))
    # Before the directory is made: a scan that cannot be scored leaves nothing behind.
    cells = [_scored_as_it_is(plan, scene) for scene in scenes]
    _make(directory)
    machine = _described(directory, plan, scenes, device)
    _save(directory, plan, cells, machine)
    pictures: dict[tuple[str, str], Panel] = {}
    first = scenes[0].volume

    def keep(scene: _Scene, name: str, image: Volume) -> None:
        if scene.volume == first:
            pictures[scene.noise, name] = Panel(name, image)

    for scene in scenes:
        keep(scene, TRUTH, scene.truth)
        keep(scene, NOISY, scene.noisy)
    for name, start in methods.items():
        method: Method | None = None
        for scene in scenes:
            if progress:
                progress(f"{name}: {scene.volume}, {scene.noise}")
            try:
                method = method or start()
                done = method(scene.noisy)
                cells.append(_scored(plan, scene, name, done))
            except (InputError, Diverged) as fault:
                cells.append(Cell.failed(name, scene.volume, scene.noise, str(fault)))
                continue
            keep(scene, name, done.denoised)
        _save(directory, plan, cells, machine)
    rows = {
        noise: [panel for (of, _), panel in pictures.items() if of == noise]
        for noise in dict.fromkeys(scene.noise for scene in scenes)
    }
    comparison(directory / "comparison.png", rows)
    return Benchmark(directory, tuple(cells), _save(directory, plan, cells, machine))


def _as_config(
    config: BenchmarkConfig | Mapping[str, Any] | str | Path, overrides: Iterable[str]
) -> BenchmarkConfig:
    if isinstance(config, (str, Path)):
        return load_benchmark(config, overrides)
    values = config.model_dump(mode="json") if isinstance(config, BenchmarkConfig) else config
    return validated(BenchmarkConfig, values, overrides)[0]


def _scenes(plan: BenchmarkConfig) -> Iterator[_Scene]:
    """Every volume with every noise, noise by noise."""
    data = plan.data
    cases = find_cases(data.images, data.targets, units=data.units or "")
    models = [build_noise(noise.name, **noise.options) for noise in plan.noise]
    scans = [(case, case.read_image(), case.read_target()) for case in cases]
    for case, image, target in scans:
        if target is not None:
            image.check_same_grid(target, names=(case.name, "its clean partner"))
    if not models:
        for case, image, target in scans:
            assert target is not None  # the schema has seen to it
            cut = [_crop(plan, volume, case.name) for volume in (image, target)]
            yield _Scene(case.name, "as it is", *cut)
    for number, (said, model) in enumerate(zip(_noises(plan), models, strict=True)):
        for case, image, _ in scans:
            # Noise that sees whole slices (CT) is made before the crop.
            seed = generator(plan.seed, "noise", number, case.name).initial_seed() % 2**31
            noisy = simulate(image, model, seed=seed)
            cut = [_crop(plan, volume, case.name) for volume in (noisy, image)]
            yield _Scene(case.name, said, *cut)


def _noises(plan: BenchmarkConfig) -> list[str]:
    """Each noise in words; one that is drawn several times is numbered."""
    said = [
        ", ".join([noise.name, *(f"{key} {value}" for key, value in noise.options.items())])
        for noise in plan.noise
    ]
    return [
        f"{one} ({said[: n + 1].count(one)})" if said.count(one) > 1 else one
        for n, one in enumerate(said)
    ]


def _crop(plan: BenchmarkConfig, volume: Volume, name: str) -> Volume:
    """The middle of a volume, without the header that it no longer fits."""
    size = plan.data.crop or list(volume.shape)
    if len(size) != volume.dims or any(
        n > whole for n, whole in zip(size, volume.shape, strict=True)
    ):
        there = list(volume.shape)
        fits = [min(n, m) for n, m in zip(size, there, strict=False)] + there[len(size) :]
        shown = str(fits).replace(" ", "")
        raise ConfigError(
            f"data.crop {size} does not fit {name} of {there} voxels: say --set data.crop={shown}, "
            "or --set data.crop=null for whole volumes."
        )
    corner = [(whole - n) // 2 for n, whole in zip(size, volume.shape, strict=True)]
    cut = (slice(None), *(slice(c, c + n) for c, n in zip(corner, size, strict=True)))
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, : volume.dims] @ np.array(corner, dtype=float)
    padding = None if volume.padding is None else volume.padding[cut]
    array = np.ascontiguousarray(volume.array[cut])
    return replace(volume, array=array, affine=affine, padding=padding, source=None)


def _prepared(method: MethodConfig, key: str, device: str) -> Callable[[], Method]:
    """A check now, before hours of work; what it returns starts the method when its turn comes."""
    try:
        if method.train is not None:
            from meddenoise.config import load

            config = load(method.train, method.set)
            if method.on == "own":
                return partial(_trained_once, config, device)
            return lambda: partial(_trained_on, config, device=device)
        way = way_to_denoise(
            method.model,
            method.filter,
            device,
            options=method.options,
            sigma=method.sigma,
            stabilise=method.stabilise,
            budget=method.budget,
        )
    except InputError as fault:
        raise ConfigError(f"{key} ({method.name}): {fault}") from None

    def run(noisy: Volume) -> _Done:
        began = time.perf_counter()
        denoised = way.run(noisy, None)
        size = None if method.model is None else Path(method.model).stat().st_size / 1e6
        return _Done(denoised, time.perf_counter() - began, None, size)

    return lambda: run


def _trained_on(config: Any, noisy: Volume, *, device: str) -> _Done:
    """Train on the noisy scan alone, and denoise it."""
    from meddenoise.workflows.train import train

    with tempfile.TemporaryDirectory() as place:
        scan = write(noisy, Path(place) / ("noisy.nii.gz" if noisy.dims == 3 else "noisy.tiff"))
        alone = [f"data.images={scan}", "data.targets=null", "data.series=null"]
        if noisy.units == "HU":
            alone.append("data.units=HU")
        if config.noise is not None and config.noise.name is not None:
            alone.append(f"noise={json.dumps(_none_injected(config.noise))}")
        run = train(config, overrides=alone, output=Path(place) / "run", device=device,
                    progress=False)  # fmt: skip
        assert run is not None
        size = (run.directory / "model.safetensors").stat().st_size / 1e6
        began = time.perf_counter()
        denoised = with_blank_kept(noisy, run.denoiser(noisy))
        spent = time.perf_counter() - began
        return _Done(denoised, spent, run.metrics["train"]["seconds"], size)


def _none_injected(noise: NoiseConfig) -> dict[str, Any] | None:
    """A section of noise without the model whose options it has: how it is stabilised stays."""
    if noise.stabilise == "none":
        return None
    if noise.stabilise == "anscombe":
        return {"stabilise": "anscombe"}
    coils = NOISES.options(str(noise.name)).model_fields.get("coils")
    own = 1 if coils is None else coils.default
    return {"stabilise": noise.stabilise, "coils": noise.options.get("coils", own)}


def _trained_once(config: Any, device: str) -> Method:
    """Train on the data that the configuration names; the result denoises every scan."""
    from meddenoise.workflows.train import train

    with tempfile.TemporaryDirectory() as place:
        run = train(config, output=Path(place) / "run", device=device, progress=False)
        assert run is not None
        size = (run.directory / "model.safetensors").stat().st_size / 1e6
    seconds = run.metrics["train"]["seconds"]

    def denoise(noisy: Volume) -> _Done:
        began = time.perf_counter()
        denoised = with_blank_kept(noisy, run.denoiser(noisy))
        return _Done(denoised, time.perf_counter() - began, seconds, size)

    return denoise


def _scored(plan: BenchmarkConfig, scene: _Scene, name: str, done: _Done) -> Cell:
    window = None if plan.window is None else (plan.window[0], plan.window[1])
    metrics = compare(scene.truth, done.denoised, data_range=plan.data_range, window=window)
    return Cell(
        method=name,
        volume=scene.volume,
        noise=scene.noise,
        metrics=metrics.as_dict(),
        seconds=done.seconds,
        voxels=int(scene.noisy.array.size),
        training_seconds=done.training_seconds,
        megabytes=done.megabytes,
        conventions=metrics.conventions(),
    )


def _scored_as_it_is(plan: BenchmarkConfig, scene: _Scene) -> Cell:
    """The noisy scan before any method."""
    try:
        return _scored(plan, scene, NOISY, _Done(scene.noisy, 0.0))
    except ParameterError as fault:
        raise ParameterError(f"{scene.volume}: {fault}") from None


def _check_free(directory: Path, overwrite: bool) -> None:
    """Raise but for a directory that is empty, or holds a comparison that may be replaced."""
    if directory.is_file():
        raise OutputError(f"{directory} is a file: choose another --output.")
    if directory.exists() and any(directory.iterdir()):
        if not (directory / "benchmark.json").is_file():
            raise OutputError(
                f"{directory} holds other things than a comparison: choose another --output."
            )
        if not overwrite:
            raise OutputError(
                f"{directory} holds a comparison already: choose another --output, or replace it "
                "by --overwrite."
            )


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OutputError(f"{directory} cannot be made: {fault.strerror}.") from None


def _described(
    directory: Path, plan: BenchmarkConfig, scenes: Sequence[_Scene], device: str
) -> dict[str, Any]:
    """Write ``provenance.json`` before the first method starts: it tells of a killed run too."""
    hashes = {
        f"{scene.volume}, {scene.noise}": voxel_hash(scene.noisy, scene.truth) for scene in scenes
    }
    models = {
        method.name: file_hash(method.model) for method in plan.methods if method.model is not None
    }
    told = provenance(device, seed=plan.seed, data=hashes) | {"models": models}
    with atomic_file(directory / "provenance.json", overwrite=True) as temporary:
        Path(temporary).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return told


def _save(
    directory: Path, plan: BenchmarkConfig, cells: Sequence[Cell], machine: Mapping[str, Any]
) -> str:
    """Write all that is known so far; the Markdown."""
    baseline = plan.methods[0].name
    summaries = summarise(cells, baseline, seed=plan.seed)
    text = markdown(summaries, cells, baseline, machine)
    told = {
        "baseline": baseline,
        "summary": [asdict(summary) for summary in summaries],
        "cells": [cell.as_dict() for cell in cells],
        "config": plan.model_dump(mode="json"),
        "run": machine,
    }
    for name, content in (("benchmark.json", json.dumps(told, indent=2)), ("benchmark.md", text)):
        with atomic_file(directory / name, overwrite=True) as temporary:
            Path(temporary).write_text(content + "\n", encoding="utf-8")
    write_csv(directory / "benchmark.csv", cells)
    return text
