"""What a configuration may say, and what it says when it says nothing."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from meddenoise.errors import ConfigError
from meddenoise.registry import nearest

__all__ = [
    "Config",
    "DataConfig",
    "InferenceConfig",
    "NetworkConfig",
    "NoiseConfig",
    "NormaliseConfig",
    "PartConfig",
    "RunName",
    "SplitConfig",
    "StabiliseConfig",
    "TrainingConfig",
]

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
# More bits than that no generator of random numbers takes.
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _plain_name(name: str) -> str:
    """A run's directory is below ``runs/``, wherever the file came from."""
    if name in ("", ".", "..") or any(sign in name for sign in "/\\"):
        raise ValueError(
            f"{name!r} cannot be a directory in runs/: leave out / and \\, and give a place "
            "elsewhere as output"
        )
    return name


RunName = Annotated[str, AfterValidator(_plain_name)]


class Strict(BaseModel):
    # A number is no text, true is no number and 1.5 no count of steps; but 1 is a good float.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class PartConfig(Strict):
    """A named part (network, trainer, noise model) and its own options beside the name."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class NetworkConfig(PartConfig):
    """A network and its options; its axes and input channels follow from other keys."""

    @model_validator(mode="after")
    def _known(self) -> NetworkConfig:
        for key, told in (("dims", "the length of a patch"), ("inputs", "the trainer")):
            if key in self.options:
                raise ValueError(f"'{key}' is no key here, it follows from {told}")
        return self


class NoiseConfig(Strict):
    """Noise that is injected, and how a scan's noise is stabilised around the network.

    With a ``name`` that noise model, with its own options beside the name, is injected; without
    one nothing is. ``stabilise`` makes the noise of what the network gets Gaussian, with a
    standard deviation of 1, and its result is brought back without bias: ``rician`` for magnitude
    MRI, ``anscombe`` for counted photons, ``auto`` by what the scans' noise is estimated to be.
    ``coils`` without a name: whose sum of squares a magnitude image is, for ``rician`` and
    ``auto``.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str | None = None
    stabilise: Literal["auto", "none", "rician", "anscombe"] = "none"

    @property
    def options(self) -> dict[str, Any]:
        """The noise model's."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _known(self) -> NoiseConfig:
        options = self.options
        if self.name is not None:
            for key in options:
                if difflib.SequenceMatcher(None, key, "stabilise").ratio() > 0.8:
                    raise ValueError(f"there is no key '{key}' (did you mean 'stabilise'?)")
            return self
        if not options and not self.model_fields_set:
            raise ValueError("it needs the name of a noise model, or stabilise")
        coils = options.pop("coils", 1)
        if coils != 1 and self.stabilise not in ("rician", "auto"):
            raise ValueError("coils says nothing without stabilise rician or auto")
        if isinstance(coils, bool) or not isinstance(coils, int) or coils < 1:
            raise ValueError(f"coils is a whole number of at least 1, not {coils!r}")
        for key in options:
            hint = nearest(key, ("stabilise", "name", "coils"))
            raise ValueError(
                f"'{key}' is no key without the name of a noise model{hint}; there are: name, "
                "stabilise, coils"
            )
        return self


class StabiliseConfig(Strict):
    """How scans are stabilised around a trained network; its own numbers are each scan's."""

    method: Literal["none", "rician", "anscombe"] = "none"
    coils: Positive = 1


class SplitConfig(Strict):
    """Shares of the subjects that train, choose and test; one subject never straddles."""

    train: Fraction = 0.70
    val: Fraction = 0.15
    test: Fraction = 0.15

    @model_validator(mode="after")
    def _add_up(self) -> SplitConfig:
        if abs(self.train + self.val + self.test - 1) > 1e-6 or self.train == 0:
            raise ValueError("train, val and test must add up to 1, with train above 0")
        return self


class NormaliseConfig(Strict):
    """How intensities reach the network: (x - shift) / scale, inverted exactly on the way out.

    ``standard`` takes mean and standard deviation of each volume, ``percentile`` the range
    between two percentiles of each volume, ``fixed`` the two numbers given (CT: HU are absolute).
    """

    method: Literal["standard", "percentile", "fixed"] = "standard"
    low: Annotated[float, Field(ge=0, le=100)] = 0.5
    high: Annotated[float, Field(ge=0, le=100)] = 99.5
    shift: float = 0.0
    scale: Annotated[float, Field(gt=0)] = 1.0

    @model_validator(mode="after")
    def _in_order(self) -> NormaliseConfig:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class DataConfig(Strict):
    """What a run trains on.

    ``images`` and ``targets`` take a file, a directory (every scan below it), a glob, a list of
    these, or ``sample:NAME[:COUNT]``. ``targets`` are the clean partners, of the same names or in
    the same order: a supervised trainer learns from them, and any trainer is scored against them.
    ``units: HU`` says so of CT in a format without a place for it. ``patch_from`` is the size that
    patches have at first: they grow to ``patch`` over the first half of the run, fewer in a batch
    as they grow. ``cache`` says where the decoded scans lie during a run: in memory (``ram``), in
    files that are mapped into it (``disk``), or in files where they would take more than half of
    the memory that is free (``auto``). The files are in ``cache_directory``, for the next run as
    well; by default beside the run directory, until the run is finished.
    """

    images: str | list[str]
    targets: str | list[str] | None = None
    series: str | None = None
    units: Literal["HU"] | None = None
    split: SplitConfig = SplitConfig()
    normalise: NormaliseConfig = NormaliseConfig()
    patch: Annotated[list[Positive], Field(min_length=2, max_length=3)] = [64, 64, 32]
    patch_from: Annotated[list[Positive], Field(min_length=2, max_length=3)] | None = None
    batch: Positive = 4
    augment: Literal["none", "flips", "rotations"] = "rotations"
    cache: Literal["auto", "ram", "disk"] = "auto"
    cache_directory: str | None = None


class TrainingConfig(Strict):
    """The loop. ``learning_rate`` rises over ``warmup`` of the run and falls by a cosine.

    ``max_minutes`` ends the run (and its cosine) by the clock instead of by ``steps``; such a
    run depends on the machine and cannot be repeated to the bit. ``start_from`` is a model file of
    the same network, whose weights are gone on from. ``patience`` ends the run when so many
    validations in a row were no better: by PSNR where the truth is known, else by SURE, an estimate
    of the error for noise that is independent between voxels. What ``precision`` and ``layout`` (of
    weights in memory) leave open is chosen by the device; on one CUDA device by a measurement of
    two seconds, unless ``autotune`` is false. A resumed run keeps what was chosen.
    """

    steps: Positive = 1000
    max_minutes: Annotated[float, Field(gt=0)] | None = None
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    warmup: Fraction = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.995
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    layout: Literal["auto", "contiguous", "channels_last"] = "auto"
    autotune: bool = True
    validate_every: Positive = 200
    validate_batches: Positive = 4
    checkpoint_every: Positive = 200
    patience: Positive | None = None
    start_from: str | None = None
    trackers: list[Literal["tensorboard", "mlflow", "wandb"]] = ["tensorboard"]


class InferenceConfig(Strict):
    """How a trained network runs over a volume.

    ``tile`` is the window in voxels (null: the whole volume if it fits ``tile_voxels``, which by
    default follows from the memory that is free, or from ``memory``, the GiB that the whole
    process may take); ``precision`` is what convolutions are computed in (sums are float32);
    ``flips`` averages over mirrored copies, at 2^dims times the cost; ``restore`` puts back
    from the residual what is stronger than the noise (null: if the trainer's networks ignore a
    voxel's own value, as Noise2Void's do).
    """

    tile: Annotated[list[Positive], Field(min_length=2, max_length=3)] | None = None
    tile_voxels: Positive | None = None
    memory: Annotated[float, Field(ge=0.75)] | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.25
    flips: bool = False
    restore: bool | None = None


class Config(Strict):
    """A whole run: what, from what, how. ``meddenoise config schema`` prints it for editors.

    ``output`` is the run directory, by default ``runs/NAME`` with the ``name`` given here or
    else that of the file.
    """

    data: DataConfig
    trainer: PartConfig
    network: NetworkConfig = NetworkConfig(name="unet")
    noise: NoiseConfig | None = None
    training: TrainingConfig = TrainingConfig()
    inference: InferenceConfig = InferenceConfig()
    seed: Seed = 0
    name: RunName | None = None
    output: str | None = None

    # Where each key stands in the file, for messages.
    _lines: dict[tuple[str | int, ...], int] = PrivateAttr(default_factory=dict)
    _file: str = PrivateAttr(default="")

    @property
    def dims(self) -> int:
        """2 or 3: the length of a patch."""
        return len(self.data.patch)

    @property
    def stabilise(self) -> str:
        """How noise is stabilised: ``noise.stabilise``, or ``"none"``."""
        return "none" if self.noise is None else self.noise.stabilise

    def renamed(self, name: str) -> Config:
        """The same run by another name."""
        return self.model_copy(update={"name": name})

    @model_validator(mode="after")
    def _fits_together(self) -> Config:
        tile = self.inference.tile
        if tile is not None and len(tile) != self.dims:
            raise ValueError(
                f"inference.tile has {len(tile)} axes and data.patch has {self.dims}: "
                "give both the same number"
            )
        first, patch = self.data.patch_from, self.data.patch
        if first is not None and (
            len(first) != len(patch) or any(a > b for a, b in zip(first, patch, strict=True))
        ):
            raise ValueError(
                f"data.patch_from {first} does not grow to data.patch {patch}: give it as many "
                "numbers, none of them larger"
            )
        return self

    def error(self, key: str, message: str) -> ConfigError:
        """A :class:`ConfigError` about a key, with its file and line where known."""
        from meddenoise.config.explain import place

        first, _, rest = message.partition(" ")
        if first.startswith(f"{key}."):  # the message names the very key: so does its line
            return ConfigError(f"{place(tuple(first.split('.')), self._lines, self._file)} {rest}")
        return ConfigError(f"{place(tuple(key.split('.')), self._lines, self._file)}: {message}")
