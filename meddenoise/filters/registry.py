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
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from meddenoise.config.explain import explain
from meddenoise.errors import ConfigError
from meddenoise.registry import Registry

__all__ = ["checked_options", "filter_names", "get_filter", "register_filter"]

Function = TypeVar("Function", bound=Callable[..., Any])

_FILTERS: Registry[Callable[..., Any]] = Registry(
    "filter", skip=("array", "spacing", "sigma_noise")
)


def register_filter(name: str) -> Callable[[Function], Function]:
    """A decorator that makes a function a filter that goes by ``name``.

    Raises:
        ConfigError: the name is taken.
    """

    def register(function: Function) -> Function:
        _FILTERS.register(name)(function)
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


def checked_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options given, in the types that the filter declares.

    Raises:
        ConfigError: an option the filter does not have, or of a wrong type.
    """
    model = _FILTERS.options(name)
    try:
        checked = model.model_validate(options)
    except ValidationError as error:
        raise ConfigError(explain(error, model, prefix=(name,))) from None
    return {key: getattr(checked, key) for key in options}
