"""Noise models by name: the built-in ones, and a user's own with one decorator.

    import torch
    from meddenoise.noise import register_noise

    @register_noise("impulse", fractions=("density",))
    def impulse(x, density, *, generator=None):
        hit = torch.rand(x.shape, generator=generator, device=x.device) < density
        return torch.where(hit, x.max(), x)

From then on ``impulse`` can be named in a configuration, on the command line, and in
:func:`meddenoise.noise.simulate`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from meddenoise.errors import ConfigError, ParameterError
from meddenoise.noise.level import Level, parse_level
from meddenoise.registry import Registry, nearest

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["NoiseModel", "build_noise", "noise_names", "register_noise"]

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class _Reading:
    """How the parameters of a model are to be read, and what images it is for."""

    levels: tuple[str, ...]
    fractions: tuple[str, ...]
    units: str


_MODELS: Registry[Callable[..., Any]] = Registry("noise model")
_READINGS: dict[str, _Reading] = {}


def register_noise(
    name: str,
    *,
    levels: tuple[str, ...] = ("sigma",),
    fractions: tuple[str, ...] = (),
    units: str = "",
) -> Callable[[Function], Function]:
    """Make ``f(x, ..., *, generator)`` a noise model that goes by ``name``.

    Args:
        name: how configurations and commands call it.
        levels: parameters in image units; they may be given as a percentage of the
            image's 99.9th percentile or as a range. A name the function lacks is ignored.
        fractions: parameters above 0 and at most 1; they may be given as a percentage of 1
            or as a range.
        units: the units that the image must have (``"HU"``), ``""`` for any.

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
        _MODELS.register(name)(function)
        _READINGS[name] = _Reading(levels, fractions, units)
        return function

    return register


def noise_names() -> tuple[str, ...]:
    """The registered noise models, sorted."""
    return _MODELS.names()


@dataclass(frozen=True)
class NoiseModel:
    """A noise model with its parameters; made by :func:`build_noise`.

    Attributes:
        name: the registered name.
        parameters: what was set; levels and fractions as :class:`Level`.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def units(self) -> str:
        """The units an image must have for this model, ``""`` for any."""
        return _READINGS[self.name].units

    @property
    def is_random(self) -> bool:
        """Whether a level is drawn from a range."""
        return any(isinstance(v, Level) and v.is_range for v in self.parameters.values())

    def draw(self, *, reference: float | Tensor, u: float | Tensor | None = None) -> dict[str, Any]:
        """The function's arguments: each range replaced by one level in image units.

        Args:
            reference: the intensity percentages are of; a number, or ``(B,)`` for a batch.
            u: place in every range, in [0, 1); a number, or ``(B,)`` for a level per
                sample. Not needed without a range.

        Returns:
            Arguments by name: numbers, or ``(B,)`` tensors if ``reference`` or ``u`` is one.

        Raises:
            ParameterError: a range without ``u``, or a percentage of something not positive.
        """
        fractions = _READINGS[self.name].fractions
        drawn: dict[str, Any] = {}
        for name, value in self.parameters.items():
            if not isinstance(value, Level):
                drawn[name] = value
            elif value.is_range and u is None:
                raise ParameterError(
                    f"{name} of the noise model '{self.name}' is a range, {value}: say which "
                    "level by u, or give one level."
                )
            else:
                place: Any = 0.0 if u is None or not value.is_range else u
                drawn[name] = value.draw(place, 1.0 if name in fractions else reference)
        return drawn

    def run(self, x: Tensor, drawn: Mapping[str, Any], *, generator: torch.Generator) -> Tensor:
        """Add noise with the arguments that :meth:`draw` gave: the way to replay one.

        Args:
            x: ``(B, C, ...)`` if an argument is a ``(B,)`` tensor, else any shape.
        """
        arguments = {name: _per_sample(value, x) for name, value in drawn.items()}
        noisy: Tensor = _MODELS.get(self.name)(x, **arguments, generator=generator)
        return noisy

    def apply(
        self,
        x: Tensor,
        *,
        reference: float | Tensor,
        generator: torch.Generator,
        u: float | Tensor | None = None,
    ) -> Tensor:
        """A new tensor: ``x`` with noise.

        Args:
            x: an image or batch, floating point, in physical units; not modified.
            reference: the intensity percentages are of (:func:`reference_intensity` of the
                whole scan, not of a patch); a number, or ``(B,)``.
            generator: where all draws come from.
            u: place in every range, in [0, 1), a number or ``(B,)``; drawn from
                ``generator`` if None and there is a range.

        Raises:
            ParameterError: an impossible level; see the model's function.
        """
        if u is None and self.is_random:
            import torch

            u = float(torch.rand((), generator=generator, device=generator.device))
        return self.run(x, self.draw(reference=reference, u=u), generator=generator)

    def __str__(self) -> str:
        settings = "".join(f", {name} {value}" for name, value in self.parameters.items())
        return f"{self.name}{settings}"


def build_noise(name: str, **parameters: Any) -> NoiseModel:
    """A noise model by name, its parameters checked.

    Args:
        name: one of :func:`noise_names`.
        parameters: the function's own; levels as :func:`meddenoise.noise.parse_level` reads
            them.

    Raises:
        ConfigError: an unknown model or parameter (the nearest valid one is named), or one
            that is missing.
        ParameterError: an impossible value.
    """
    valid = _parameters(_MODELS.get(name))
    open_ended = any(p.kind is p.VAR_KEYWORD for p in valid.values())
    for given in parameters:
        if given not in valid and not open_ended:
            raise ConfigError(
                f"The noise model '{name}' has no parameter '{given}'{nearest(given, valid)}; "
                f"it has: {', '.join(valid)}."
            )
    for needed, parameter in valid.items():
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if named and parameter.default is parameter.empty and needed not in parameters:
            raise ConfigError(f"The noise model '{name}' needs its parameter '{needed}'.")
    read = {
        key: _read(_READINGS[name], key, value, valid.get(key)) for key, value in parameters.items()
    }
    return NoiseModel(name, read)


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What a user may set: all but the image, which comes first, and the generator."""
    _, *rest = inspect.signature(function).parameters.items()
    return {name: parameter for name, parameter in rest if name != "generator"}


def _read(reading: _Reading, name: str, value: Any, parameter: inspect.Parameter | None) -> Any:
    """One parameter as the model keeps it."""
    if name in reading.levels:
        return parse_level(value)
    if name in reading.fractions:
        level = parse_level(value)
        if level.low <= 0 or level.high > 1:
            raise ParameterError(
                f"{name} is {level}: it is a fraction, above 0 and at most 1 (or 100%)."
            )
        return level
    wants_number = parameter is not None and isinstance(parameter.default, float)
    if wants_number and isinstance(value, (str, int)) and not isinstance(value, bool):
        # YAML reads 1e5 as a string: it wants a point and a sign there.
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ParameterError(f"{name} is {value!r}: it must be a finite number.")
        return number
    return value


def _per_sample(value: Any, x: Tensor) -> Any:
    """A ``(B,)`` tensor as ``(B, 1, ...)``, so that it broadcasts over a batch."""
    one_each = getattr(value, "ndim", None) == 1 and x.ndim > 1 and len(value) == len(x)
    return value.reshape(-1, *[1] * (x.ndim - 1)) if one_each else value
