"""Checks the options of a registered part against its signature."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from meddenoise.config.explain import explain
from meddenoise.errors import ConfigError

__all__ = ["check_options"]


def check_options(
    model: type[BaseModel], options: Mapping[str, Any], *, section: str
) -> dict[str, Any]:
    """The given options, in the types that the part asks for.

    Args:
        model: of the part, from :meth:`meddenoise.registry.Registry.options`.
        options: by name; an absent one keeps the part's own default.
        section: of the configuration, for the message: ``"network"``.

    Raises:
        ConfigError: an option that the part does not have, or of another type.
    """
    try:
        try:
            # As JSON, a list is as good as a tuple, and yet "16" and true are no numbers.
            checked = model.model_validate_json(json.dumps(dict(options)), strict=True)
        except (TypeError, ValueError) as fault:
            if isinstance(fault, ValidationError):
                raise
            checked = model.model_validate(dict(options))  # objects that only Python can give
    except ValidationError as error:
        raise ConfigError(explain(error, model, prefix=(section,))) from None
    return {name: getattr(checked, name) for name in options}
