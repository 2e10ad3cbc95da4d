"""What the file of ``meddenoise pretrain`` may say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from meddenoise.config.load import read_text, validated
from meddenoise.config.schema import (
    Fraction,
    InferenceConfig,
    NetworkConfig,
    Positive,
    RunName,
    Seed,
    Strict,
    TrainingConfig,
)

__all__ = ["PretrainConfig", "SyntheticConfig", "load_pretrain"]


class SyntheticConfig(Strict):
    """Patches of procedural anatomy.

    ``ct`` is the share of them in Hounsfield units, ``low`` and ``high`` the weakest and the
    strongest noise of the others, as a share of their range of intensities. Anatomies have ``size``
    voxels along each axis; so many as ``pool`` says are at hand, and after ``every`` steps one
    gives way to a fresh one.

    For a GPU: ``workers`` processes make the patches (0: the training itself, between its steps),
    each out of ``pool`` anatomies of its own, and a patch is for ``reuse`` steps, mirrored and
    turned otherwise at each; a step then needs only ``batch / reuse`` new ones.
    """

    patch: Annotated[list[Positive], Field(min_length=2, max_length=3)] = Field(
        default_factory=lambda: [48, 48, 48]
    )
    batch: Positive = 2
    ct: Fraction = 0.25
    low: Annotated[float, Field(gt=0)] = 0.01
    high: Annotated[float, Field(gt=0)] = 0.3
    size: Annotated[int, Field(ge=16)] = 96
    pool: Positive = 24
    every: Positive = 4
    workers: Annotated[int, Field(ge=0)] = 0
    reuse: Positive = 1

    @model_validator(mode="after")
    def _fits_together(self) -> SyntheticConfig:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if max(self.patch) > self.size:
            raise ValueError("a patch must not be larger than size")
        if self.batch % self.reuse:
            raise ValueError("batch must be a multiple of reuse")
        return self


class PretrainConfig(Strict):
    """A training on procedural anatomy, from which weights for any scan come.

    ``loss`` is as for the supervised trainer.
    """

    synthetic: SyntheticConfig = SyntheticConfig()
    network: NetworkConfig = NetworkConfig(name="light", bias=False)
    loss: str | dict[str, float] = "log_l2"
    training: TrainingConfig = TrainingConfig()
    inference: InferenceConfig = InferenceConfig()
    seed: Seed = 0
    name: RunName = "pretrained"
    output: str | None = None

    @property
    def dims(self) -> int:
        """2 or 3: the length of a patch."""
        return len(self.synthetic.patch)


def load_pretrain(path: str | Path, overrides: Iterable[str] = ()) -> PretrainConfig:
    """The file, checked as strictly as a configuration; see :func:`meddenoise.config.load`.

    Raises:
        ConfigError: no such file, or a key or value that the schema refuses.
    """
    return validated(PretrainConfig, read_text(path), overrides, file=str(path))[0]
