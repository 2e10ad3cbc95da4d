"""Filters by name: the built-in ones, and a user's own with one decorator.

A filter is a function of one scan without channels::

    @register_filter("mine")
    def mine(array, *, spacing, sigma_noise=None, strength: float = 1.0):
        return array * strength

``array`` is ``(X, Y)`` or ``(X, Y, Z)``, float32 or float64, finite everywhere, and not to
be modified; ``spacing`` is the voxel size in mm per axis; ``sigma_noise`` is the noise's
standard deviation in the image's units, or None if nobody said (a filter that needs it
estimates it). The result has the same shape. All other keyword parameters are options; they
are checked against their annotations.

A filter that needs all volumes of a 4-D scan at once is registered with ``joint=True``; its
``array`` is ``(C, X, Y, Z)`` with at least two channels. One registered with ``noise=True`` is told
``sigma_noise`` by :func:`~meddenoise.filters.apply_filter` also where the user says nothing: the
whole scan, with its modality and padding, tells more of its noise than an array does. And one that
has a parameter ``correlation`` is told how the noise is correlated between a voxel and its
neighbours: a :class:`meddenoise.noise.correlation.Correlation`, or None where nothing is known.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from meddenoise.config.options import check_options
from meddenoise.errors import ParameterError
from meddenoise.registry import Registry

__all__ = [
    "asks_correlation",
    "asks_noise",
    "checked_options",
    "chosen_by_noise",
    "describe_filter",
    "filter_names",
    "filter_options",
    "get_filter",
    "is_joint",
    "register_filter",
]

Function = TypeVar("Function", bound=Callable[..., Any])

_FILTERS: Registry[Callable[..., Any]] = Registry(
    "filter", skip=("array", "spacing", "sigma_noise", "correlation")
)
_GIVEN = ("spacing", "sigma_noise")
_JOINT: set[str] = set()
_NOISE: dict[str, bool | str] = {}


def register_filter(
    name: str, *, joint: bool = False, noise: bool | str = False
) -> Callable[[Function], Function]:
    """A decorator that makes a function a filter that goes by ``name``.

    Args:
        name: as on the command line.
        joint: it takes all channels of a 4-D scan at once, instead of one after the other.
        noise: it is to be told the noise's standard deviation; or the name of the option that it
            chooses by that, unless the option is given.

    Raises:
        ConfigError: the name is taken.
        ParameterError: the function takes no ``spacing`` or ``sigma_noise``, or not the option that
            ``noise`` names.
    """

    def register(function: Function) -> Function:
        parameters = inspect.signature(function).parameters
        anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        for needed in _GIVEN:
            if not anything and needed not in parameters:
                raise ParameterError(
                    f"The filter '{name}' must take a keyword argument '{needed}': every filter is "
                    "told it, whether it looks at it or not."
                )
        if isinstance(noise, str) and not anything and noise not in parameters:
            raise ParameterError(
                f"The filter '{name}' has no option '{noise}' to choose by the noise: name one of "
                "its keyword arguments, or say noise=True."
            )
        _FILTERS.register(name)(function)
        (_JOINT.add if joint else _JOINT.discard)(name)
        _NOISE[name] = noise
        return function

    return register


def filter_names() -> tuple[str, ...]:
    """The registered filters, sorted."""
    return _FILTERS.names()


def get_filter(name: str) -> Callable[..., Any]:
    """The function of that name.

    Raises:
        ConfigError: there is none; the message names the nearest and lists them all.
    """
    return _FILTERS.get(name)


def is_joint(name: str) -> bool:
    """Whether the filter takes all channels at once."""
    return name in _JOINT


def asks_noise(name: str, options: dict[str, Any]) -> bool:
    """Whether the filter with these options is to be told the noise's standard deviation."""
    noise = _NOISE.get(name, False)
    return options.get(noise) is None if isinstance(noise, str) else noise


def chosen_by_noise(name: str) -> str | None:
    """The option that the filter chooses by the noise, unless it is given, if there is one."""
    noise = _NOISE.get(name, False)
    return noise if isinstance(noise, str) else None


def asks_correlation(name: str) -> bool:
    """Whether the filter is to be told how the noise is correlated."""
    return "correlation" in inspect.signature(get_filter(name)).parameters


def describe_filter(name: str) -> str:
    """What the filter is, in one line: the first of its docstring, without the full stop."""
    text = inspect.getdoc(get_filter(name)) or ""
    return text.partition("\n")[0].removesuffix(".")


def filter_options(name: str) -> dict[str, Any]:
    """The filter's options and their defaults; None stands for "chosen from the image"."""
    return {key: field.default for key, field in _FILTERS.options(name).model_fields.items()}


def checked_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options given, in the types that the filter declares.

    Raises:
        ConfigError: an option the filter does not have, or of a wrong type.
    """
    return check_options(_FILTERS.options(name), options, section=name)
