"""The whole schema of a configuration: the sections, and the options of every registered part."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from meddenoise.config import Config, dump, load
from meddenoise.errors import InputError
from meddenoise.networks import build_network
from meddenoise.networks.registry import NETWORKS
from meddenoise.noise import build_noise
from meddenoise.noise.registry import NOISES
from meddenoise.registry import Registry
from meddenoise.training.trainer import TRAINERS, build_trainer
from meddenoise.workflows.choosing_trainer import AUTO, check_auto

__all__ = ["check_config", "config_schema"]


_BY_SCANS = {
    "title": AUTO,
    "description": "Looks at the scans' noise and chooses a trainer.",
    "type": "object",
    "properties": {"name": {"const": AUTO}},
    "required": ["name"],
    "additionalProperties": False,
}


def config_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a YAML file, with the parts registered now."""
    schema = Config.model_json_schema()
    properties = schema["properties"]
    properties["network"] = _one_of(NETWORKS, "network", schema)
    properties["trainer"] = _one_of(TRAINERS, "trainer", schema)
    properties["trainer"]["oneOf"].append(_BY_SCANS)
    properties["noise"] = {"anyOf": [_noise(schema), {"type": "null"}], "default": None}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "meddenoise configuration"
    return schema


def check_config(path: str | Path, overrides: Iterable[str] = ()) -> str:
    """The resolved YAML of a file, after all that can be checked without its scans.

    Raises:
        ConfigError: an unknown key, a wrong type or an impossible value.
    """
    config = load(path, overrides)
    check_auto(config)
    part, dims = "trainer", config.dims
    try:
        inputs = 1
        if config.trainer.name != AUTO:
            inputs = build_trainer(config.trainer.name, **config.trainer.options).inputs
        part = "network"
        build_network(config.network.name, dims, inputs, **config.network.options)
        part = "noise"
        if config.noise is not None and config.noise.name is not None:
            build_noise(config.noise.name, **config.noise.options)
    except InputError as fault:
        raise config.error(part, str(fault)) from None
    return dump(config)


def _noise(schema: dict[str, Any]) -> dict[str, Any]:
    """Injected noise, and how it is stabilised: with a model's name, or without."""
    stabilise = schema["$defs"]["NoiseConfig"]["properties"]["stabilise"]
    stabilise["description"] = (
        "Makes the noise Gaussian around the network, and brings its result back without bias: "
        "rician for magnitude MRI, anscombe for counted photons, auto by the scans' own noise."
    )
    named = _one_of(NOISES, "noise", schema)
    for branch in named["oneOf"]:
        branch["properties"]["stabilise"] = stabilise
    about = "Whose sum of squares a magnitude image is."
    coils = {"type": "integer", "minimum": 1, "default": 1, "description": about}
    alone = {
        "title": "no noise injected",
        "description": "The scans' own noise is stabilised, and none injected.",
        "type": "object",
        "properties": {"name": {"type": "null"}, "stabilise": stabilise, "coils": coils},
        "minProperties": 1,
        "additionalProperties": False,
    }
    return {"oneOf": [*named["oneOf"], alone]}


def _one_of(registry: Registry[Any], section: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A section that names one of the parts and sets its options.

    What a part refers to is looked up in the whole ``schema``, whose definitions it joins.
    """
    branches = []
    for name in registry.names():
        own = f"{section}.{name}"  # two parts may each have a type of one name
        part = registry.options(name).model_json_schema(ref_template=f"#/$defs/{own}.{{model}}")
        for key, definition in part.pop("$defs", {}).items():
            schema.setdefault("$defs", {})[f"{own}.{key}"] = definition
        part["title"] = name
        part["description"] = (registry.get(name).__doc__ or "").strip().partition("\n")[0]
        part["properties"] = {"name": {"const": name}, **part.get("properties", {})}
        part["required"] = ["name", *part.get("required", [])]
        branches.append(part)
    return {"oneOf": branches}
