"""Noise models by name: the built-in ones, and a user's own with one decorator.

    import torch
    from meddenoise.noise import register_noise

    @register_noise("impulse", fractions=("density",))
    def impulse(x, density, *, generator=None):
        hit = torch.rand(x.shape, generator=generator, device=x.device) < density
        return torch.where(hit, x.max(), x)

From then on ``impulse`` can be named in a configuration, on the command line, and in
:func:`meddenoise.noise.simulate`. A model that also takes a keyword ``spacing`` is given the voxel
size in mm of the last axes of ``x``, and one that takes ``reference`` the image's 99.9th
percentile.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BeforeValidator, WithJsonSchema

from meddenoise.config.options import check_options
from meddenoise.errors import ParameterError
from meddenoise.noise.level import Level, Range, parse_fraction, parse_level, parse_number
from meddenoise.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["NOISES", "NoiseModel", "build_noise", "noise_names", "register_noise"]

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class _Reading:
    """How the parameters of a model are to be read, and what images it is for."""

    levels: tuple[str, ...]
    fractions: tuple[str, ...]
    maps: tuple[str, ...]
    units: str
    deviation: str


def _parse_map(value: Any) -> Any:
    """A map over an image, as it is given: an array or a tensor."""
    if isinstance(value, (str, int, float)):
        raise ParameterError(
            f"{value!r} is no map: a map is an array on the scan's grid, or for 'meddenoise "
            "simulate' a file with one"
        )
    return value


def _option(parse: Callable[[Any], Any], *kinds: str) -> Any:
    """The type of an option that ``parse`` reads, of these kinds in a JSON Schema, or a range."""
    some = {"type": list(kinds)}
    pair = {"type": "array", "items": some, "minItems": 2, "maxItems": 2}
    return Annotated[Any, BeforeValidator(parse), WithJsonSchema({"anyOf": [some, pair]})]


_LEVEL = _option(parse_level, "number", "string")
_FRACTION = _option(parse_fraction, "number", "string")
_NUMBER = _option(parse_number, "number")
_MAP = Annotated[Any, BeforeValidator(_parse_map), WithJsonSchema({"type": "array"})]


class _NoiseModels(Registry[Callable[..., Any]]):
    """Their options are levels, fractions, maps and numbers, and may be ranges to draw from."""

    def __init__(self) -> None:
        provided = ("generator", "spacing", "reference")
        super().__init__("noise model", skip=provided, skip_first=True)
        self.readings: dict[str, _Reading] = {}

    def takes(self, name: str, parameter: str) -> bool:
        """Whether a model's function has that parameter."""
        return parameter in inspect.signature(self.get(name)).parameters

    def maps(self, name: str) -> tuple[str, ...]:
        """The parameters of a model that are arrays on the image's grid.

        Raises:
            ConfigError: there is no such model.
        """
        self.get(name)
        return self.readings[name].maps

    def option_type(self, name: str, parameter: inspect.Parameter) -> Any:
        """What the model declared its parameter to be, else its annotation."""
        reading = self.readings[name]
        if parameter.name in reading.levels:
            return _LEVEL
        if parameter.name in reading.fractions:
            return _FRACTION
        if parameter.name in reading.maps:
            return _MAP
        if isinstance(parameter.default, float):
            return _NUMBER
        if parameter.annotation == "float | None":
            return _NUMBER | None
        return super().option_type(name, parameter)


NOISES = _NoiseModels()


def register_noise(
    name: str,
    *,
    levels: tuple[str, ...] = ("sigma",),
    fractions: tuple[str, ...] = (),
    maps: tuple[str, ...] = (),
    units: str = "",
    deviation: str = "",
) -> Callable[[Function], Function]:
    """Make ``f(x, ..., *, generator)`` a noise model that goes by ``name``.

    ``x`` is ``(X, Y)``, ``(X, Y, Z)``, or with batch and channel ``(B, C, ...)``. The other
    parameters are the model's options. If there is a keyword ``spacing``, it gets the size of a
    voxel in mm along each of the last axes of ``x``, two or three numbers; slices of a volume then
    run along the last. A keyword ``reference`` gets the intensity that percentages are of.

    Args:
        name: how configurations and commands call it.
        levels: parameters in image units; they may be given as a percentage of the
            image's 99.9th percentile, as an SNR or as a range. A name the function lacks is
            ignored.
        fractions: parameters above 0 and at most 1; they may be given as a percentage of 1
            or as a range. So may every other parameter whose default is a float.
        maps: parameters that are arrays on the image's grid.
        units: the units that the image must have (``"HU"``), ``""`` for any.
        deviation: the level that is the noise's standard deviation everywhere (in each channel
            behind a magnitude), ``""`` if none is; a noise map is then made of what was added.

    Raises:
        ConfigError: the name is taken by another function.
        ParameterError: the function takes no ``generator``, so it could not be replayed.
    """

    def register(function: Function) -> Function:
        if "generator" not in inspect.signature(function).parameters:
            raise ParameterError(
                f"The noise model '{name}' must take a keyword argument 'generator' and draw "
                "from it, so that its noise can be repeated."
            )
        NOISES.register(name)(function)
        NOISES.readings[name] = _Reading(levels, fractions, maps, units, deviation)
        return function

    return register


def noise_names() -> tuple[str, ...]:
    """The registered noise models, sorted."""
    return NOISES.names()


@dataclass(frozen=True)
class NoiseModel:
    """A noise model with its parameters; made by :func:`build_noise`.

    Attributes:
        name: the registered name.
        parameters: what was set; levels as :class:`Level`, ranges as :class:`Range`.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def units(self) -> str:
        """The units an image must have for this model, ``""`` for any."""
        return NOISES.readings[self.name].units

    @property
    def deviation(self) -> str:
        """The parameter that is the noise's standard deviation everywhere, ``""`` if none is."""
        return NOISES.readings[self.name].deviation

    @property
    def needs_spacing(self) -> bool:
        """Whether the model wants the voxel size, and slices along the last axis."""
        return NOISES.takes(self.name, "spacing")

    @property
    def ranges(self) -> tuple[str, ...]:
        """The parameters that are drawn from a range."""
        return tuple(
            name
            for name, value in self.parameters.items()
            if isinstance(value, Range) and value.is_range
        )

    def draw(
        self,
        *,
        reference: float | Tensor,
        u: float | Tensor | Sequence[float | Tensor] | None = None,
    ) -> dict[str, Any]:
        """The function's arguments: each range replaced by one number, levels in image units.

        Args:
            reference: the intensity percentages are of; a number, or ``(B,)`` for a batch.
            u: place in every range, in [0, 1); a number, or ``(B,)`` for a level per
                sample; or a list with one of these for each of :attr:`ranges`. Not needed
                without a range.

        Returns:
            Arguments by name: numbers, or ``(B,)`` tensors if ``reference`` or ``u`` is one.

        Raises:
            ParameterError: a range without ``u``, or a percentage of something not positive.
        """
        drawn: dict[str, Any] = {}
        places: dict[str, Any] = self._places(u)
        for name, value in self.parameters.items():
            if isinstance(value, Level):
                drawn[name] = value.draw(places.get(name, 0.0), reference)
            elif isinstance(value, Range):
                drawn[name] = value.at(places.get(name, 0.0))
            else:
                drawn[name] = value
        if NOISES.takes(self.name, "reference"):
            drawn["reference"] = reference
        return drawn

    def _places(self, u: float | Tensor | Sequence[float | Tensor] | None) -> dict[str, Any]:
        """The place in each range."""
        if u is None and self.ranges:
            name = self.ranges[0]
            raise ParameterError(
                f"{name} of the noise model '{self.name}' is a range, {self.parameters[name]}: say "
                "which level by u, or give one level."
            )
        if not isinstance(u, (list, tuple)):
            return dict.fromkeys(self.ranges, u)
        if len(u) != len(self.ranges):
            raise ParameterError(
                f"u has {len(u)} places and the noise model '{self.name}' {len(self.ranges)} "
                "ranges: give one for each, or one number for all."
            )
        return dict(zip(self.ranges, u, strict=True))

    def run(
        self,
        x: Tensor,
        drawn: Mapping[str, Any],
        *,
        generator: torch.Generator,
        spacing: Sequence[float] | None = None,
    ) -> Tensor:
        """Add noise with the arguments that :meth:`draw` gave: the way to replay one.

        Args:
            x: ``(X, Y)``, ``(X, Y, Z)``, or with batch and channel ``(B, C, ...)``, which it must
                have if an argument is a ``(B,)`` tensor.
            drawn: arguments by name.
            generator: where all draws come from.
            spacing: mm per voxel along each of the last axes; only a model that
                :attr:`needs_spacing` looks at it.

        Raises:
            ParameterError: the model needs the spacing and it is not given, or a model of the
                user's returns no tensor of the image's shape.
        """
        arguments = {name: _per_sample(value, x) for name, value in drawn.items()}
        if self.needs_spacing:
            if spacing is None:
                raise ParameterError(
                    f"The noise model '{self.name}' needs the voxel size in mm: give spacing, or "
                    "an image that comes with its affine."
                )
            arguments["spacing"] = tuple(float(length) for length in spacing)
        import torch

        noisy = NOISES.get(self.name)(x, **arguments, generator=generator)
        if not isinstance(noisy, torch.Tensor) or noisy.shape != x.shape:
            shape = f" of shape {tuple(noisy.shape)}" if hasattr(noisy, "shape") else ""
            raise ParameterError(
                f"The noise model '{self.name}' made a {type(noisy).__name__}{shape} of a tensor "
                f"of shape {tuple(x.shape)}: it returns a tensor of the same shape."
            )
        return noisy

    def apply(
        self,
        x: Tensor,
        *,
        reference: float | Tensor,
        generator: torch.Generator,
        u: float | Tensor | Sequence[float | Tensor] | None = None,
        spacing: Sequence[float] | None = None,
    ) -> Tensor:
        """A new tensor: ``x`` with noise.

        Args:
            x: an image or batch, floating point, in physical units; not modified.
            reference: the intensity percentages are of (:func:`reference_intensity` of the
                whole scan, not of a patch); a number, or ``(B,)``.
            generator: where all draws come from.
            u: as for :meth:`draw`; drawn from ``generator`` if None and there is a range.
            spacing: as for :meth:`run`.

        Raises:
            ParameterError: an impossible level; see the model's function.
        """
        if u is None and self.ranges:
            import torch

            count = len(self.ranges)
            u = torch.rand(count, generator=generator, device=generator.device).tolist()
        drawn = self.draw(reference=reference, u=u)
        return self.run(x, drawn, generator=generator, spacing=spacing)

    def __str__(self) -> str:
        settings = "".join(f", {name} {value}" for name, value in self.parameters.items())
        return f"{self.name}{settings}"


def build_noise(name: str, /, **parameters: Any) -> NoiseModel:
    """A noise model by name, its parameters checked.

    Args:
        name: one of :func:`noise_names`.
        parameters: the function's own; levels as :func:`meddenoise.noise.parse_level` reads
            them.

    Raises:
        ConfigError: an unknown model or parameter (the nearest valid one is named), one that is
            missing, or an impossible level.
    """
    return NoiseModel(name, check_options(NOISES.options(name), parameters, section="noise"))


def _per_sample(value: Any, x: Tensor) -> Any:
    """A ``(B,)`` tensor as ``(B, 1, ...)``, so that it broadcasts over a batch."""
    one_each = getattr(value, "ndim", None) == 1 and x.ndim > 1 and len(value) == len(x)
    return value.reshape(-1, *[1] * (x.ndim - 1)) if one_each else value
