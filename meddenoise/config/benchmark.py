"""What the file of ``meddenoise benchmark`` may say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from meddenoise.config.load import read_text, validated
from meddenoise.config.schema import PartConfig, Positive, Seed, Strict

__all__ = ["BenchmarkConfig", "BenchmarkData", "MethodConfig", "load_benchmark"]


class BenchmarkData(Strict):
    """The volumes of a comparison.

    ``images`` are clean where ``noise`` is added to them, or noisy with their clean partners in
    ``targets``. ``crop`` takes the middle of each, in voxels.
    """

    images: str | list[str]
    targets: str | list[str] | None = None
    units: Literal["HU"] | None = None
    crop: Annotated[list[Positive], Field(min_length=2, max_length=3)] | None = None


class MethodConfig(Strict):
    """One row: a filter, a trained model, or a configuration to train.

    ``filter`` (or ``auto``, with its ``budget`` in seconds) and its ``options``; ``model`` is a
    model file; ``train`` is a configuration, with overrides in ``set``, trained on each noisy scan
    alone, or with ``on: own`` once on the data that it names. ``sigma`` tells a filter, or a model
    with a noise map, the noise's standard deviation, in % of the 99.9th percentile or in image
    units; ``stabilise`` is as in denoise.
    """

    label: str | None = None
    filter: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    model: str | None = None
    train: str | None = None
    set: list[str] = Field(default_factory=list)
    on: Literal["scan", "own"] = "scan"
    sigma: str | float | None = None
    stabilise: str | None = None
    budget: Annotated[float, Field(gt=0)] | None = None

    @property
    def name(self) -> str:
        """The label, or what it is."""
        return self.label or self.filter or Path(self.model or self.train or "").stem

    @model_validator(mode="after")
    def _one_way(self) -> MethodConfig:
        if sum(way is not None for way in (self.filter, self.model, self.train)) != 1:
            raise ValueError("a method is one of filter, model and train")
        if self.options and self.filter is None:
            raise ValueError("options are for a filter; a configuration's keys go in set")
        if (self.set or self.on == "own") and self.train is None:
            raise ValueError("set and on are for train")
        if self.budget is not None and self.filter != "auto":
            raise ValueError(
                "budget is for the filter auto; a training's goes in set: training.max_minutes=..."
            )
        if self.train is not None and self.sigma is not None:
            raise ValueError("sigma is for filter and model; a training finds it itself")
        if self.train is not None and self.stabilise is not None:
            raise ValueError("a training's stabilisation goes in set: noise.stabilise=...")
        return self


class BenchmarkConfig(Strict):
    """A grid of methods by volumes by noises.

    The first method is what the others are compared with. ``window`` (centre, width) or
    ``data_range`` fixes how PSNR and SSIM are taken; by default the data range is from each
    clean volume's percentiles.
    """

    data: BenchmarkData
    noise: list[PartConfig] = Field(default_factory=list)
    methods: Annotated[list[MethodConfig], Field(min_length=1)]
    window: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    data_range: Annotated[float, Field(gt=0)] | None = None
    seed: Seed = 0
    output: str | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> BenchmarkConfig:
        if not self.noise and self.data.targets is None and not self._samples_with_truth():
            raise ValueError(
                "there is nothing to score against: give noise to add to clean data.images, or "
                "data.targets"
            )
        if self.noise and self.data.targets is not None:
            raise ValueError("noise is added to clean data.images, which have no data.targets")
        names = [method.name for method in self.methods]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two methods are called '{name}': give them a label each")
        return self

    def _samples_with_truth(self) -> bool:
        images = self.data.images
        named = [images] if isinstance(images, str) else images
        return all(name.startswith("sample:") and "-noisy" in name for name in named)


def load_benchmark(path: str | Path, overrides: Iterable[str] = ()) -> BenchmarkConfig:
    """The file, checked as strictly as a configuration; see :func:`meddenoise.config.load`.

    Raises:
        ConfigError: no such file, or a key or value that the schema refuses.
    """
    return validated(BenchmarkConfig, read_text(path), overrides, file=str(path))[0]
